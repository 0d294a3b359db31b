"""``python -m analytics_service.export``: a table or a view of the analytics database as CSV. Reads only."""

import argparse
import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics_service.export import extract
from analytics_service.export.cells import line
from analytics_service.export.extract import Period, Relation
from analytics_service.settings import ReaderSettings
from shop.edges import database, terminal, times
from shop.edges.database import explain
from shop.edges.process import run
from shop.edges.settings import load
from shop.runtime.errors import UserError

# The first row of a large table may take the server as long as sorting all of them.
REPLY_SECONDS = 600
EXIT_INTERRUPTED = 130

_FORMAT = """\
The CSV is UTF-8 with a header and lines that end in CR LF (RFC 4180). NULL is
empty, the empty text is "". Times are UTC, YYYY-MM-DD HH:MM:SS.ffffff; a binary
column is 0x and hex digits. A table is in the order of its primary key.

By default it is safe to open in Excel and LibreOffice:
- A FILE begins with a byte order mark, without which Excel takes it for another
  encoding; the standard output has none.
- A text that a spreadsheet would run as a formula (it begins with = + - @, a tab
  or a line break, perhaps behind blanks or apostrophes) gets one apostrophe in
  front. Without that one it is what is stored.
With --raw everything is as stored and there is no mark: for programs.

pandas takes the country NA and texts like null for missing, unless it is told:
pandas.read_csv(FILE, keep_default_na=False, na_values=[""])

FILE is there only once it is whole.
"""


def main() -> None:
    """Exports. Raises UserError where something that was asked for is not there, not possible or not answering."""
    arguments = _arguments()
    settings = load(ReaderSettings, **({"kpi_window": arguments.window} if arguments.window else {}))
    period = Period(times.parse("--from", arguments.since), times.parse("--to", arguments.until))
    engine = database.create(settings, read_timeout=REPLY_SECONDS)
    try:
        with engine.connect() as connection:
            source = extract.find(connection, arguments.name)
        _check(source, period, arguments.window)
        if arguments.output is None:
            with _stdout() as output:
                _write(engine, source, period, settings.kpi_window, output, guard=not arguments.raw)
            return
        path = _resolved(arguments.folder / arguments.output)
        with _file(path) as output:
            if not arguments.raw:
                output.write(codecs.BOM_UTF8)
            rows = _write(engine, source, period, settings.kpi_window, output, guard=not arguments.raw)
        print(f"{rows:,} rows of {source.name} are in {path}")
    except DBAPIError as error:
        raise UserError(str(explain(error, settings))) from None
    except BrokenPipeError:
        return
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m analytics_service.export",
        description="Exports a table or a view of the analytics database as CSV.",
        epilog=_FORMAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", default="", help="table or view; without one, they are listed")
    parser.add_argument("--output", metavar="FILE", help="where to (default: the standard output)")
    parser.add_argument(
        "--folder", metavar="FOLDER", type=Path, default=Path(), help="what FILE is relative to (default: here)"
    )
    parser.add_argument(
        "--from",
        dest="since",
        metavar="TIME",
        help="only rows from this time on, by kafka_timestamp (dead_letter: received_at); ISO 8601, UTC if not told",
    )
    parser.add_argument("--to", dest="until", metavar="TIME", help="only rows before this time")
    parser.add_argument(
        "--window", metavar="LENGTH", help="how far a view looks back, from 30s to 10m (default: KPI_WINDOW, or 10m)"
    )
    parser.add_argument("--raw", action="store_true", help="for programs: nothing is made safe for spreadsheets")
    return parser.parse_args()


def _check(source: Relation, period: Period, window: str | None) -> None:
    if period != Period(None, None) and source.time is None:
        instead = "limit it with --window" if source.is_view else "it can only be exported whole"
        raise UserError(f"--from and --to do not go with {source.name}, which has no time of its messages: {instead}")
    if period.since and period.until and period.since >= period.until:
        raise UserError("--from is not before --to, so that there is nothing to export")
    if window and not source.is_view:
        raise UserError(f"--window does not go with {source.name}, which is a table: it is for views")


def _write(engine: Engine, source: Relation, period: Period, window: int, output: BinaryIO, *, guard: bool) -> int:
    """Writes the header and all rows, and returns the number of rows. The count is only made where a person looks."""
    shown = sys.stderr.isatty() and not output.isatty()
    total = None
    if shown and not source.is_view:
        with engine.connect() as connection:
            total = extract.count(connection, source, period)
    rows = 0
    with (
        extract.stream(engine, source, period, window) as result,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            TimeRemainingColumn(),
            console=terminal.console(stderr=True),
            transient=True,
            redirect_stdout=False,
            disable=not shown,
        ) as progress,
    ):
        task = progress.add_task(source.name, total=total)
        output.write(line(result.keys(), guard=guard).encode())
        for some in result.partitions():
            output.write("".join([line(row, guard=guard) for row in some]).encode())
            rows += len(some)
            progress.update(task, completed=rows)
    return rows


@contextmanager
def _stdout() -> Iterator[BinaryIO]:
    try:
        # A buffer of its own: after a broken pipe, nothing is left in that of sys.stdout.
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as output:
            yield output
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"the standard output cannot be written: {error.strerror}") from None


def _resolved(path: Path) -> Path:
    """Where a link leads to is written, and the link stays."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise UserError(f"{path.absolute()} cannot be written: it is a link to itself") from None


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """A file that is at ``path`` once it is whole, in place of one that was there; until then it has another name."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        # Not a device, for instance, which the new file would take the place of.
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is no regular file: name another with --output, or leave that out and redirect")
        output = beside.open("xb")
        try:
            with output:
                yield output
                output.flush()
                os.fsync(output.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    run(main)
