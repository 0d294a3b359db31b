"""The obvious ways to store the topics: SQLAlchemy, row by row or many at once, into the same tables.

They validate as analytics does, and store carts and addresses once, but without a check of any bookmark.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import confluent_kafka as ck
from sqlalchemy import Connection, Engine, text

from analytics_service.ingest.rows import COLUMNS, row
from shop.contract.events import Fulfillment, parse
from shop.contract.lifecycle import TOPICS
from tools.bench.stage import PARTITIONS

Values = dict[str, Any]
Rows = dict[str, list[Values]]
"""Rows to insert, by table."""


def row_by_row(engine: Engine, bootstrap: str, namespace: str, messages: int) -> float:
    """Messages per second with a statement for each row and a commit for each message."""
    return _stored(engine, _consumed(bootstrap, namespace), messages, 1)


def many_at_once(engine: Engine, bootstrap: str, namespace: str, messages: int) -> float:
    """Messages per second with executemany, 5,000 messages in a transaction."""
    return _stored(engine, _consumed(bootstrap, namespace), messages, 5_000)


def _stored(engine: Engine, consumed: Iterator[ck.Message], messages: int, together: int) -> float:
    began, done = time.perf_counter(), 0
    with engine.connect() as connection:
        while done < messages:
            batch = list(islice(consumed, together))
            _insert(connection, _rows(batch))
            connection.commit()
            done += len(batch)
    return done / (time.perf_counter() - began)


def _rows(messages: Sequence[ck.Message]) -> Rows:
    rows: Rows = {"shipping_address": [], "cart_item": [], **{topic: [] for topic in TOPICS}}
    for message in messages:
        topic = str(message.topic()).rpartition("-")[2]
        event = parse(topic, message.value())
        values: Values = dict(event) | {
            "log_id": TOPICS.index(topic),
            "kafka_partition": message.partition(),
            "kafka_offset": message.offset(),
            "kafka_timestamp": datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        }
        if not isinstance(event, Fulfillment):
            ids = row(event)
            assert ids.cart is not None
            values |= {"cart_id": ids.cart.key, "address_id": ids.address and ids.address.key}
            for number, item in enumerate(event.cart_items, 1):
                rows["cart_item"].append(dict(item) | {"cart_id": ids.cart.key, "line_no": number})
            if event.shipping_address is not None and ids.address is not None:
                rows["shipping_address"].append(dict(event.shipping_address) | {"address_id": ids.address.key})
        rows[topic].append(values)
    return rows


def _insert(connection: Connection, rows: Rows) -> None:
    for table, values in rows.items():
        if values:
            # Nothing but placeholders: PyMySQL makes one statement of many rows of that form alone.
            topic_partitions = ", ".join(f":{name}" for name in COLUMNS[table].split(", "))
            ignore = "" if table in TOPICS else "IGNORE"
            statement = f"INSERT {ignore} INTO `{table}` ({COLUMNS[table]}) VALUES ({topic_partitions})"
            connection.execute(text(statement), values)


def _consumed(bootstrap: str, namespace: str) -> Iterator[ck.Message]:
    """The messages of all topics from the start."""
    consumer = ck.Consumer({"bootstrap.servers": bootstrap, "group.id": "obvious", "enable.auto.commit": False})
    consumer.assign(
        [
            ck.TopicPartition(namespace + topic, number, ck.OFFSET_BEGINNING)
            for topic in TOPICS
            for number in range(PARTITIONS)
        ]
    )
    while True:
        for message in consumer.consume(1000, 0.05):
            assert message.error() is None, message.error()
            yield message
