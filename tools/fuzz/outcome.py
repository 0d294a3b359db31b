"""What a part of the fuzzing has done, in one line and one more for each thing found."""

from dataclasses import dataclass, field
from pathlib import Path

from local.paths import ROOT


@dataclass
class FuzzResult:
    """``events``: how many of the inputs were valid. ``found``: what is wrong, and how to see it again."""

    part: str
    inputs: int = 0
    events: int = 0
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)

    def note(self, file: Path, reason: str) -> None:
        """Adds a message that breaks a property, kept in a file."""
        # The reason may quote a whole message.
        self.found.append(f"{reason[:500]}\n    again: make fuzz ARGS='--again {file.relative_to(ROOT)}'")

    def __str__(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0.0
        share = self.events / self.inputs if self.inputs else 0.0
        figures = f"{self.inputs:,} inputs ({share:.0%} events) in {self.seconds:.1f} s, {rate:,.0f}/s"
        return "\n".join((f"{self.part}: {figures}, found: {len(self.found)}", *(f"  {one}" for one in self.found)))
