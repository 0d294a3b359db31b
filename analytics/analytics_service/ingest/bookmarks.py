"""Where reading goes on: asked of the rows themselves, because there is no offset table that could drift."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, text

from analytics_service.stored import LogPartition, Tables, last_offsets


class Bookmark(NamedTuple):
    """``last``: the last stored offset, -1 where nothing is stored. ``accepted``: where the last accepted loss ends,
    0 where there is none."""

    last: int
    accepted: int

    @property
    def resume(self) -> int | None:
        """The offset to read next; None: nothing is stored, so reading starts at the beginning of the log."""
        return max(self.last + 1, self.accepted) or None


def log_ids(connection: Connection, cluster_id: str, topic_ids: Mapping[str, str]) -> dict[str, int]:
    """The log of each topic, made known to the database where it is new."""
    for topic, topic_id in topic_ids.items():
        connection.execute(_NEW_LOG, {"topic": topic, "topic_id": topic_id, "cluster_id": cluster_id})
    known = connection.execute(_LOGS, {"cluster_id": cluster_id})
    by_topic_id = {row.topic_id: row.log_id for row in known}
    return {topic: by_topic_id[topic_id] for topic, topic_id in topic_ids.items()}


def register(connection: Connection, partitions: Iterable[LogPartition]) -> None:
    """Makes the partitions lockable. Known ones are not touched: a writer may hold them."""
    for partition in partitions:
        connection.execute(_NEW_PARTITION, partition._asdict())


def lock(connection: Connection, partitions: Iterable[LogPartition]) -> None:
    """Makes this transaction the partitions' only writer until it ends. Blocks while another one is; always in the
    same order, so that two writers do not wait for each other."""
    wanted = ", ".join(f"({log_id}, {number})" for log_id, number in sorted(partitions))
    connection.exec_driver_sql(
        "SELECT log_id FROM log_partition FORCE INDEX (PRIMARY) "
        f"WHERE (log_id, kafka_partition) IN ({wanted}) ORDER BY log_id, kafka_partition FOR UPDATE"
    )


def bookmarks(
    connection: Connection, partitions: Iterable[LogPartition], tables: Tables
) -> dict[LogPartition, Bookmark]:
    """Where to go on in each partition."""
    accepted = {
        LogPartition(row.log_id, row.kafka_partition): row.next_offset for row in connection.execute(_ACCEPTED)
    }
    last = last_offsets(connection, partitions, tables)
    return {partition: Bookmark(offset, accepted.get(partition, 0)) for partition, offset in last.items()}


def record_loss(connection: Connection, partition: LogPartition, first: int, after: int) -> None:
    """Notes that offsets ``first`` up to ``after`` are gone for ever, and that a person knows."""
    connection.execute(_NEW_LOSS, partition._asdict() | {"first": first, "after": after})


_LOGS = text("SELECT topic_id, log_id FROM kafka_log WHERE cluster_id = :cluster_id")
_ACCEPTED = text("SELECT log_id, kafka_partition, MAX(next_offset) AS next_offset FROM accepted_loss GROUP BY 1, 2")
# IGNORE only for the race with another instance; what is known is not tried, because a try would use up an id.
_NEW_LOG = text(
    "INSERT IGNORE INTO kafka_log (topic, topic_id, cluster_id) SELECT :topic, :topic_id, :cluster_id FROM DUAL "
    "WHERE NOT EXISTS (SELECT 1 FROM kafka_log WHERE cluster_id = :cluster_id AND topic_id = :topic_id)"
)
_NEW_PARTITION = text(
    "INSERT IGNORE INTO log_partition (log_id, kafka_partition) SELECT :log_id, :number FROM DUAL "
    "WHERE NOT EXISTS (SELECT 1 FROM log_partition WHERE log_id = :log_id AND kafka_partition = :number)"
)
_NEW_LOSS = text(
    "INSERT IGNORE INTO accepted_loss (log_id, kafka_partition, first_offset, next_offset) "
    "VALUES (:log_id, :number, :first, :after)"
)
