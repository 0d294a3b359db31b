"""`make fuzz`: foreign bytes against every reader of them. What breaks a property is kept in tools/fuzz/found."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from local import process
from local.paths import ROOT
from shop.edges.process import tune_interpreter
from tools.fuzz import guided, stored
from tools.fuzz.found import read
from tools.fuzz.limits import Limits
from tools.fuzz.load_data import analytics_tables
from tools.fuzz.outcome import FuzzResult
from tools.fuzz.properties import judge

SECONDS = 20.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--seconds", type=float, help=f"how long in all, half of it for each part (default: {SECONDS:.0f})"
    )
    limit.add_argument("--inputs", type=int, help="how many inputs for each part")
    limit.add_argument(
        "--again", type=Path, nargs="+", metavar="FILE", help="try these files again (tools/fuzz/found)"
    )
    parser.add_argument(
        "--seed", type=int, help="draw the same inputs as a run with this seed (default: another one)"
    )
    parser.add_argument("--part", choices=("guided", "stored"), help="only this one")
    return parser.parse_args()


def main() -> int:
    """Runs both parts. Exit code 1: something was found."""
    options = arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    tune_interpreter()
    if options.again:
        return _print(_judged_again(options.again), stored.again(options.again))
    seed = int(time.time()) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    seconds = None if options.inputs else (options.seconds or SECONDS)
    if seconds and not options.part:
        seconds /= 2
    code = 0
    if options.part != "stored":
        if guided.is_there():
            code |= _print(guided.fuzz(Limits(seconds, options.inputs), seed))
        else:
            print("coverage-guided: left out, because atheris is not installed here")
    if options.part != "guided":
        code |= _print(stored.fuzz(Limits(seconds, options.inputs), seed))
    return code


def _judged_again(files: Sequence[Path]) -> FuzzResult:
    outcome, tables = FuzzResult("no database", inputs=len(files)), analytics_tables(ROOT)
    for file in files:
        message = read(file)
        try:
            outcome.events += judge(message.topic, message.value, tables) is not None
        except BaseException as error:  # a panic of the parser is no Exception
            outcome.found.append(f"{file}: {type(error).__name__}: {error}")
    return outcome


def _print(*outcomes: FuzzResult) -> int:
    for outcome in outcomes:
        print(outcome, flush=True)
    return int(any(outcome.found for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(process.run(main))
