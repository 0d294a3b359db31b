"""The part with the real MariaDB."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analytics_service.ingest.store import writer
from analytics_service.settings import AnalyticsSettings
from local.mariadb import MariaDB
from local.paths import ROOT
from shop.contract.lifecycle import TOPICS
from tools.fuzz.database import AnalyticsTables
from tools.fuzz.found import keep, read
from tools.fuzz.limits import MOST_FOUND, Limits
from tools.fuzz.load_data import analytics_tables
from tools.fuzz.messages import MessageSource
from tools.fuzz.outcome import FuzzResult
from tools.fuzz.samples import bounds, samples
from tools.kit.stack import start_mariadb

BATCH = 2000
EMPTIED_EVERY = 100
"""Batches: the tables stay as small as they are in a laptop's memory."""
EMPTY = "USE analytics; " + "".join(
    f"TRUNCATE `{table}`; " for table in (*TOPICS, "cart_item", "shipping_address", "dead_letter")
)


def fuzz(limits: Limits, seed: int) -> FuzzResult:
    """Runs until the limits are reached, on a MariaDB of its own; its start does not count."""
    outcome = FuzzResult("through MariaDB")
    source = MessageSource(seed, samples(), bounds(analytics_tables(ROOT)))
    with _mariadb() as mariadb:
        tables, limits, batches = _tables(mariadb), limits.from_now(), 0
        while not limits.reached(outcome.inputs, len(outcome.found)):
            size = BATCH if limits.inputs is None else min(BATCH, limits.inputs - outcome.inputs)
            wrongs = tables.check([source.draw() for _ in range(size)])
            for message, reason in wrongs[:MOST_FOUND]:
                outcome.note(keep(message), reason)
            outcome.inputs += size
            batches += 1
            if batches % EMPTIED_EVERY == 0:
                _empty(mariadb, tables, outcome, seed)
        _empty(mariadb, tables, outcome, seed)
        outcome.seconds = limits.elapsed
    return outcome


def again(files: Sequence[Path]) -> FuzzResult:
    """Stores messages that were kept."""
    outcome = FuzzResult("through MariaDB", inputs=len(files))
    with _mariadb() as mariadb:
        tables = _tables(mariadb)
        for file in files:
            outcome.found += [f"{file}: {reason}" for _, reason in tables.check([read(file)])]
        outcome.events = tables.facts
    return outcome


@contextmanager
def _mariadb() -> Iterator[MariaDB]:
    with tempfile.TemporaryDirectory(prefix="fuzz") as home:
        mariadb = start_mariadb(Path(home))
        try:
            yield mariadb
        finally:
            mariadb.stop()


def _tables(mariadb: MariaDB) -> AnalyticsTables:
    return AnalyticsTables(writer(AnalyticsSettings(mariadb_port=mariadb.port)))


def _empty(mariadb: MariaDB, tables: AnalyticsTables, outcome: FuzzResult, seed: int) -> None:
    outcome.found += [f"{wrong} (--seed {seed})" for wrong in tables.nothing_else()]
    outcome.events += tables.facts
    mariadb.execute(EMPTY)
    tables.forget()
