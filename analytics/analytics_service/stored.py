"""What of each partition the tables hold."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection


class LogPartition(NamedTuple):
    """A partition of one life of a topic, as the tables name it."""

    log_id: int
    number: int


Tables = Mapping[int, str]
"""The fact table of each log."""


def last_offsets(
    connection: Connection, partitions: Iterable[LogPartition], tables: Tables
) -> dict[LogPartition, int]:
    """The last stored offset of each partition, as a fact or a dead letter; -1 where nothing is stored."""
    wanted = list(partitions)
    # A subquery each, because MAX over a prefix of the primary key is a single look-up only when it stands alone.
    highest = ", ".join(
        f"GREATEST({_highest(tables[partition.log_id], partition)}, {_highest('dead_letter', partition)})"
        for partition in wanted
    )
    if not wanted:
        return {}
    return dict(zip(wanted, connection.exec_driver_sql(f"SELECT {highest}").one(), strict=True))


def _highest(table: str, partition: LogPartition) -> str:
    return (
        f"COALESCE((SELECT MAX(kafka_offset) FROM `{table}` "
        f"WHERE log_id = {partition.log_id} AND kafka_partition = {partition.number}), -1)"
    )
