"""Batches made by hand, for tests of the store without Kafka."""

from collections.abc import Iterable, Sequence

import confluent_kafka as ck
from sqlalchemy import Engine, text

from analytics_service.ingest.batch import Batch, Fact, fact
from analytics_service.ingest.bookmarks import log_ids, register
from analytics_service.stored import LogPartition
from shop.contract.events import Event, serialize
from shop.contract.lifecycle import TOPICS

TIME = "2027-01-15 08:00:00.123"


def logs(engine: Engine, partitions: int = 2) -> dict[str, int]:
    """A log for each topic, with partitions that can be locked."""
    ids = {topic: f"{topic}-id" for topic in TOPICS}
    with engine.begin() as connection:
        known = log_ids(connection, "cluster", ids)
        register(
            connection, [LogPartition(log_id, number) for log_id in known.values() for number in range(partitions)]
        )
    return known


def facts(known: dict[str, int], events: Iterable[Event], partition: int = 0, first: int = 0) -> list[Fact]:
    """The events as consecutive messages of their topics' partition."""
    offsets = dict.fromkeys(TOPICS, first)
    made = []
    for event in events:
        offset, value = offsets[event.topic], serialize(event)
        message = ck.Message(
            topic=event.topic, partition=partition, offset=offset, key=event.key.encode(), value=value, headers=[]
        )
        made.append(fact(event.topic, known[event.topic], partition, offset, TIME, value, message))
        offsets[event.topic] += 1
    return made


def batch(
    known: dict[str, int], rows: Sequence[Fact], last: int = -1, partition: int = 0, generation: int = 0
) -> Batch:
    """A batch of the facts; every partition in it was stored up to ``last``."""
    made = Batch(generation, {log_id: topic for topic, log_id in known.items()}, {}, 0.0)
    made.facts.extend(rows)
    made.predecessors.update({LogPartition(log_id, partition): last for log_id in {row.log_id for row in rows}})
    return made


def number_of(engine: Engine, table: str) -> int:
    """How many rows the table has."""
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT COUNT(*) FROM `{table}`")).scalar_one())
