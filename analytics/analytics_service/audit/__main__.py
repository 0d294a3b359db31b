"""``python -m analytics_service.audit``: exit code 0: clean, 1: violations, 2: something is missing or away."""

import argparse
import sys
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analytics_service.audit import RULES, STUCK_SECONDS, AuditSettings, Report, audit, read_expectations
from shop.edges.process import run
from shop.edges.settings import load
from shop.edges.terminal import console
from shop.runtime.errors import Unavailable, UserError

EXIT_VIOLATIONS = 1
EPILOG = """
FILE names violations that were injected on purpose, by rule and coordinates: these must be found, and no others.
JSON lines:  {"rule": "once", "topic": "order", "partition": 3, "offset": 17}
or CSV:      rule,topic,partition,offset
             once,order,3,17
Rules: """ + ", ".join(RULES)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m analytics_service.audit",
        description="Recomputes everything from the topics and compares it with both databases. Reads only.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--settled", action="store_true", help="demand too that nothing is in flight")
    parser.add_argument("--expect", metavar="FILE", type=Path, help="violations that were injected on purpose")
    parser.add_argument(
        "--stuck-after",
        metavar="SECONDS",
        type=float,
        default=STUCK_SECONDS,
        help="an entity is stuck when its next step is pending for longer (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser.parse_args()


def examine(options: argparse.Namespace) -> Report:
    """The audit that the command line asks for, with its progress on a terminal."""
    expected = read_expectations(options.expect, list(RULES)) if options.expect else frozenset()
    terminal = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        return audit(
            load(AuditSettings),
            settled=options.settled,
            expect=expected,
            stuck_after=options.stuck_after,
            progress=lambda doing, done, total: bar.update(
                task, description=doing, completed=done, total=total or None
            ),
            say=lambda sentence: terminal.print(sentence, highlight=False, markup=False),
        )


def main() -> None:
    """Audits and prints the report. Raises UserError for what keeps it from doing so."""
    options = arguments()
    try:
        report = examine(options)
    except Unavailable as failure:
        raise UserError(str(failure)) from None
    except KeyboardInterrupt:
        raise UserError("interrupted") from None
    try:
        if options.json:
            report.write_json(sys.stdout)
        else:
            report.print(console())
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Nobody reads all of it (rich ends the program then). What it found stays what it found.
        pass
    if not report.clean:
        sys.exit(EXIT_VIOLATIONS)


if __name__ == "__main__":
    run(main)
