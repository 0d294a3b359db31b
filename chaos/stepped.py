"""Runs a service's own main.py with a clock that jumps, and jumps back.

python -m chaos.stepped order --hours 1 --after 3 --for 10
"""

import argparse
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local.paths import ROOT


def stepped(
    clock: Callable[[], float], running: Callable[[], float], step: float, after: float, jumped: float
) -> float:
    """What the clock says: ``step`` seconds more from ``after`` seconds of running on, for ``jumped`` seconds."""
    return clock() + (step if after <= running() < after + jumped else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos.stepped", description=__doc__)
    parser.add_argument("service")
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--after", type=float, required=True, metavar="SECONDS")
    parser.add_argument("--for", type=float, required=True, metavar="SECONDS", dest="jumped")
    options = parser.parse_args()
    clock, began = time.time, time.monotonic()
    time.time = lambda: stepped(
        clock, lambda: time.monotonic() - began, options.hours * 3600, options.after, options.jumped
    )
    program: Path = ROOT / options.service / "main.py"
    sys.argv = [str(program)]
    sys.path.insert(0, str(program.parent))
    runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main()
