"""Tries the dead letters again, after a fix.

Nothing is ever changed or deleted: a dead letter stays where it is, and the fact row with its coordinates settles it.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from analytics_service.dead_letters import reason_of
from analytics_service.ingest.batch import Fact, fact
from analytics_service.ingest.store import Store, writer
from analytics_service.settings import AnalyticsSettings
from shop.contract.lifecycle import TOPICS
from shop.edges.database import explain
from shop.edges.settings import load
from shop.runtime.errors import Unavailable, UserError

CHUNK = 500


@dataclass
class RedriveResult:
    """How many dead letters were tried, were settled, and why the others are still no events."""

    tried: int = 0
    settled: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Redrives and prints a summary. Raises UserError when the database cannot be reached."""
    parser = argparse.ArgumentParser(prog="python -m analytics_service.redrive", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="store nothing, only say what would happen")
    dry_run = parser.parse_args().dry_run
    settings = load(AnalyticsSettings)
    try:
        outcome = redrive(writer(settings), dry_run=dry_run)
    except DBAPIError as error:
        reason = explain(error, settings)
        raise UserError(str(reason)) if isinstance(reason, Unavailable) else reason from None
    verb = "would be settled" if dry_run else "settled"
    print(f"{outcome.tried} dead letters: {outcome.settled} {verb}, {outcome.tried - outcome.settled} stay")
    for reason_text, count in outcome.reasons.most_common():
        print(f"{count:8}  {reason_text}")


def redrive(engine: Engine, *, dry_run: bool) -> RedriveResult:
    """Tries every dead letter that has no fact row. Raises DBAPIError when the database does not answer."""
    store, outcome = Store(engine), RedriveResult()
    for table in TOPICS:
        for facts, reasons in _chunks(engine, table):
            accepted, refused = store.bisect_refused(facts) if dry_run else store.store_redriven(facts)
            outcome.tried += len(facts) + len(reasons)
            outcome.settled += len(accepted)
            outcome.reasons.update(reasons)
            outcome.reasons.update(reason for _, reason in refused)
    return outcome


def _chunks(engine: Engine, table: str) -> Iterator[tuple[list[Fact], list[str]]]:
    """The unsettled dead letters of one topic, a bounded number at a time: as facts, or why they are none."""
    after = (0, 0, -1)
    while True:
        with engine.connect() as connection:
            rows = _unsettled(connection, table, after)
        facts, reasons = [], []
        for log_id, number, offset, timestamp, value in rows:
            after = (log_id, number, offset)
            try:
                if timestamp is None:
                    raise ValueError("the time of the message is not known")
                facts.append(fact(table, log_id, number, offset, timestamp, value))
            except ValueError as error:
                reasons.append(reason_of(error))
        if rows:
            yield facts, reasons
        if len(rows) < CHUNK:
            return


def _unsettled(
    connection: Connection, table: str, after: tuple[int, int, int]
) -> list[tuple[int, int, int, str | None, bytes | None]]:
    log_id, number, offset = after
    query = text(
        "SELECT log_id, kafka_partition, kafka_offset, CAST(dead_letter.kafka_timestamp AS CHAR), message_value "
        f"FROM dead_letter JOIN kafka_log USING (log_id) LEFT JOIN `{table}` AS event "
        "USING (log_id, kafka_partition, kafka_offset) "
        "WHERE topic = :table AND event.status IS NULL "
        "AND (log_id, kafka_partition, kafka_offset) > (:log_id, :number, :offset) "
        f"ORDER BY log_id, kafka_partition, kafka_offset LIMIT {CHUNK}"
    )
    found = connection.execute(query, {"table": table, "log_id": log_id, "number": number, "offset": offset})
    return [tuple(row) for row in found]
