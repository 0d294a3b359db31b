"""The tables of analytics and of fulfillment, as the auditor reads them: a bounded number of rows at a time.

The server itself puts the normalized rows together to the JSON of the message, which then goes through the same
parsing as the message did. That takes a third of the time of building the events in Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from analytics_service.audit.entries import ProjectedRow
from analytics_service.audit.messages import Letter
from analytics_service.audit.report import DeadLetters
from analytics_service.stored import LogPartition, last_offsets
from shop.contract.lifecycle import TOPICS
from shop.edges.database import explain
from shop.edges.settings import DatabaseSettings

_CART = (
    "(SELECT JSON_ARRAYAGG(JSON_OBJECT('product_id', product_id, 'quantity', quantity, 'price', price) "
    "ORDER BY line_no) FROM cart_item WHERE cart_item.cart_id = event.cart_id)"
)
_ADDRESS = (
    "(SELECT JSON_OBJECT('name', name, 'street', street, 'zip', zip, 'city', city, 'country', country) "
    "FROM shipping_address WHERE shipping_address.address_id = event.address_id)"
)


def _time(column: str) -> str:
    return f"DATE_FORMAT({column}, '%%Y-%%m-%%dT%%H:%%i:%%s.%%fZ')"


def _milliseconds(column: str) -> str:
    return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column}) DIV 1000"


_COMMON = {"status": "status", "created_at": _time("created_at"), "updated_at": _time("updated_at")}
_PURCHASE = {
    "checkout_id": "checkout_id",
    "user_id": "user_id",
    "cart_items": _CART,
    "total_amount": "total_amount",
    "currency": "currency",
    "payment_method": "payment_method",
    "shipping_address": _ADDRESS,
} | _COMMON
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "checkout": _PURCHASE,
    "order": {"order_id": "order_id"} | _PURCHASE,
    "fulfillment": {"fulfillment_id": "fulfillment_id", "order_id": "order_id"} | _COMMON,
}
"""Where each field of an event comes from."""


class StoredLog(NamedTuple):
    """A row of ``kafka_log``: one life of a topic."""

    log_id: int
    topic: str
    topic_id: str
    cluster_id: str
    first_seen: datetime


class TableReader:
    """Both databases. Every call raises Unavailable or UserError when the database does not answer or refuses."""

    def __init__(self, engine: Engine, settings: DatabaseSettings, fulfillment_database: str) -> None:
        self._engine = engine
        self._settings = settings
        self._fulfillment_database = fulfillment_database

    def logs(self) -> list[StoredLog]:
        """All lives of all topics that analytics knows."""
        with self._connection() as connection:
            rows = connection.exec_driver_sql("SELECT log_id, topic, topic_id, cluster_id, first_seen FROM kafka_log")
            return [
                StoredLog(log_id, topic, topic_id, cluster_id, first_seen.replace(tzinfo=UTC))
                for log_id, topic, topic_id, cluster_id, first_seen in rows
            ]

    def partitions(self) -> Iterator[tuple[str, LogPartition]]:
        """Each table, with each log and partition that it has rows of."""
        with self._connection() as connection:
            for table in (*TOPICS, "dead_letter"):
                for row in connection.exec_driver_sql(f"SELECT DISTINCT log_id, kafka_partition FROM `{table}`"):
                    yield table, LogPartition(*row)

    def last_offsets(self, partitions: Sequence[LogPartition], tables: Mapping[int, str]) -> dict[LogPartition, int]:
        """The last offset stored of each partition; -1: none."""
        with self._connection() as connection:
            return last_offsets(connection, partitions, tables)

    def accepted_losses(self) -> dict[LogPartition, list[tuple[int, int]]]:
        """The ranges of offsets that a person allowed to be lost."""
        losses: dict[LogPartition, list[tuple[int, int]]] = {}
        with self._connection() as connection:
            for log_id, number, first, after in connection.exec_driver_sql(
                "SELECT log_id, kafka_partition, first_offset, next_offset FROM accepted_loss"
            ):
                losses.setdefault(LogPartition(log_id, number), []).append((first, after))
        return losses

    def dead_letters(self) -> DeadLetters:
        """How many there are, of all logs."""
        settled = " OR ".join(
            f"EXISTS (SELECT 1 FROM `{table}` AS event WHERE event.log_id = letter.log_id AND "
            "event.kafka_partition = letter.kafka_partition AND event.kafka_offset = letter.kafka_offset)"
            for table in TOPICS
        )
        with self._connection() as connection:
            query = f"SELECT COUNT(*), COUNT(CASE WHEN NOT ({settled}) THEN 1 END) FROM dead_letter AS letter"
            return DeadLetters(*connection.exec_driver_sql(query).one())

    def projection(self) -> Iterator[ProjectedRow]:
        """All rows of fulfillment's own table, as of one moment."""
        with self._connection() as connection:
            rows = connection.execution_options(stream_results=True, max_row_buffer=5000).exec_driver_sql(
                "SELECT fulfillment_id, order_id, status, created_at, updated_at "
                f"FROM `{self._fulfillment_database}`.fulfillment"
            )
            for fulfillment_id, order_id, status, created_at, updated_at in rows:
                yield ProjectedRow(
                    str(fulfillment_id),
                    str(order_id),
                    status,
                    created_at.replace(tzinfo=UTC),
                    updated_at.replace(tzinfo=UTC),
                )

    @contextmanager
    def rows(self, topic: str, partition: LogPartition | None) -> Iterator["Rows"]:
        """The rows of one partition; of None there are none."""
        with self._connection() as connection:
            yield Rows(connection, topic, partition)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise explain(error, self._settings) from None


class Rows:
    """The rows of one partition of one log: facts and dead letters."""

    def __init__(self, connection: Connection, topic: str, partition: LogPartition | None) -> None:
        self._connection = connection
        self._partition = partition
        made_of = ", ".join(f"'{name}', {source}" for name, source in _FIELDS[topic].items())
        coordinates = f"kafka_offset, {_milliseconds('kafka_timestamp')}"
        self._facts = f"SELECT {coordinates}, JSON_OBJECT({made_of}) FROM `{topic}` AS event"
        self._letters = f"SELECT {coordinates}, message_key, message_value, headers FROM dead_letter"

    def facts(self, first: int, end: int) -> Sequence[tuple[int, int, str]]:
        """What the fact table holds from offset ``first`` up to ``end``: offset, time and the JSON of the event."""
        return self._select(self._facts, first, end)

    def letters(self, first: int, end: int) -> dict[int, Letter]:
        """The dead letters from offset ``first`` up to ``end``, by offset."""
        return {offset: Letter(*letter) for offset, *letter in self._select(self._letters, first, end)}

    def _select(self, query: str, first: int, end: int) -> Sequence[Any]:
        if self._partition is None:
            return ()
        return self._connection.exec_driver_sql(
            f"{query} WHERE log_id = %s AND kafka_partition = %s AND kafka_offset >= %s AND kafka_offset < %s",
            (*self._partition, first, end),
        ).all()
