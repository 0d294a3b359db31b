"""When to stop."""

import time
from dataclasses import dataclass, field

MOST_FOUND = 10
"""One cause breaks many inputs, and the first ones tell enough."""


@dataclass(frozen=True)
class Limits:
    """At most so many seconds from now on, or inputs; None: no such limit."""

    seconds: float | None
    inputs: int | None
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def from_now(self) -> "Limits":
        """The same limits, beginning now."""
        return Limits(self.seconds, self.inputs)

    def reached(self, inputs: int, found: int) -> bool:
        """Whether it is time to stop, after so many inputs and things found."""
        return (
            found >= MOST_FOUND
            or (self.inputs is not None and inputs >= self.inputs)
            or (self.seconds is not None and self.elapsed >= self.seconds)
        )
