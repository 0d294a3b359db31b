"""The figures: a table for people, and tools/bench/results.json, where the newest of each name stands."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.table import Table

from local.errors import Refusal
from shop.edges.terminal import console

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Figure:
    """A measured value beside its reference. The ratio is good when it is ``at_least`` so high."""

    figure: str
    value: float
    unit: str
    reference: float
    ratio: float
    at_least: float

    @classmethod
    def below(cls, figure: str, value: float, unit: str, limit: float) -> "Figure":
        """A value that must be below a limit, which is its reference then."""
        return cls(figure, value, unit, limit, round(limit / value, 2), 1.0)


def record(figures: Sequence[Figure]) -> None:
    """Writes the figures into tools/bench/results.json, in place of older ones of their names, and prints them."""
    old = _earlier()
    names = {one.figure for one in figures}
    new = [asdict(one) | {"machine": machine()} for one in figures]
    RESULTS.write_text(json.dumps([*(one for one in old if one["figure"] not in names), *new], indent=2) + "\n")
    console().print(table(figures))


def require_usable() -> None:
    """Raises Refusal, or the OSError, where the figures could not be kept: to know after minutes is too late."""
    _earlier()
    if RESULTS.exists():
        RESULTS.open("r+").close()


def _earlier() -> list[dict[str, object]]:
    try:
        return list(json.loads(RESULTS.read_text())) if RESULTS.exists() else []
    except ValueError:
        raise Refusal(f"{RESULTS} is damaged: get it back (git checkout {RESULTS}), or remove it.") from None


def table(figures: Sequence[Figure]) -> Table:
    """What was measured; a ratio that falls short is marked."""
    found = Table(title=machine(), box=box.SIMPLE_HEAD)
    found.add_column("figure")
    for heading in ("value", "reference", "ratio", "at least"):
        found.add_column(heading, justify="right")
    found.add_column("unit")
    for one in figures:
        mark = "" if one.ratio >= one.at_least else " !"
        found.add_row(
            one.figure, f"{one.value:,}", f"{one.reference:,}", f"{one.ratio:.2f}{mark}", f"{one.at_least}", one.unit
        )
    return found


def machine() -> str:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {model}, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}"
