"""bench/results.json: one entry per figure, the newest wins."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Figure:
    """A measured value beside its reference of the same run."""

    figure: str
    value: float
    unit: str
    reference: float
    ratio: float
    at_least: float


def record(new: Figure) -> None:
    """Writes the figure into bench/results.json, in place of an older one of its name."""
    old = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = [one for one in old if one["figure"] != new.figure]
    RESULTS.write_text(json.dumps([*kept, asdict(new)], indent=2) + "\n")
