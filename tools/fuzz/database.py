"""Messages through the real decoder, batch and store into the real MariaDB, and what lies there afterwards."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import confluent_kafka as ck
from sqlalchemy import Connection, Engine, text

from analytics_service.ingest.batch import Batch
from analytics_service.ingest.bookmarks import register
from analytics_service.ingest.decoder import Decoder
from analytics_service.ingest.store import Store
from analytics_service.stored import LogPartition
from shop.contract.events import Event, parse
from shop.contract.lifecycle import TOPICS
from tools.fuzz.found import Wrong
from tools.fuzz.messages import Headers, Message
from tools.fuzz.properties import header_bytes
from tools.kit.batches import logs, number_of
from tools.kit.rebuild import rebuild

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TableRow(NamedTuple):
    """A fact as it lies in the tables."""

    timestamp: datetime | None
    event: Event


class Letter(NamedTuple):
    """A dead letter as it lies in its table."""

    timestamp: datetime | None
    key: bytes | None
    value: bytes | None
    headers: Headers


class AnalyticsTables:
    """The analytics tables, empty at first. Every check writes to partitions of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = Store(engine)
        self._logs = logs(engine, partitions=0)
        self._decoder = Decoder()
        self._numbers = count()
        self.facts = self.letters = 0

    def check(self, messages: Sequence[Message]) -> list[Wrong]:
        """Stores the messages as one batch, and says which do not lie there as they should.

        An error that ends the whole batch is traced to its message by halving.
        """
        try:
            return self._wrongs(messages)
        except Exception as error:  # of whatever kind: some message has caused it
            reason = f"{type(error).__name__}: {error}"
        if len(messages) == 1:
            return [Wrong(messages[0], reason)]
        middle = len(messages) // 2
        parts = self.check(messages[:middle]) + self.check(messages[middle:])
        return parts or [Wrong(messages[0], f"only with the {len(messages) - 1} after it: {reason}")]

    def nothing_else(self) -> list[str]:
        """What lies in the tables besides that which the checks have found there."""
        tables = {"facts": TOPICS, "dead letters": ("dead_letter",)}
        held = {name: sum(number_of(self._engine, table) for table in of) for name, of in tables.items()}
        wanted = {"facts": self.facts, "dead letters": self.letters}
        return [
            *(f"{held[name]} {name}, not {wanted[name]}" for name in held if held[name] != wanted[name]),
            *(f"rows of {child} that no event refers to" for child in ORPHANS if self._orphans(child)),
        ]

    def forget(self) -> None:
        """Takes the tables for emptied."""
        self._store.forget()
        self.facts = self.letters = 0

    def _wrongs(self, messages: Sequence[Message]) -> list[Wrong]:
        number = next(self._numbers)
        partitions = {topic: LogPartition(log_id, number) for topic, log_id in self._logs.items()}
        with self._engine.begin() as connection:
            register(connection, partitions.values())
        batch = Batch(0, {log_id: topic for topic, log_id in self._logs.items()}, {}, 0.0)
        batch.predecessors.update(dict.fromkeys(partitions.values(), -1))
        for offset, message in enumerate(messages):
            self._decoder.add(_received(message, number, offset), offset, partitions[message.topic], batch)
        refused = self._store.save(batch)
        with self._engine.connect() as connection:
            facts, letters = self._facts(connection, partitions), self._letters(connection, number)
        self.facts += len(facts)
        self.letters += len(letters)
        topic_partitions = {(message.topic, offset) for offset, message in enumerate(messages)}
        if surplus := (facts.keys() | letters.keys()) - topic_partitions:
            raise AssertionError(f"rows that nobody has written: {sorted(surplus)}")
        if refused:
            raise AssertionError(f"the database refuses {refused} events that the contract lets pass")
        found = []
        for offset, message in enumerate(messages):
            at = message.topic, offset
            if reason := _wrong(message, facts.get(at), letters.get(at)):
                found.append(Wrong(message, reason))
        return found

    def _facts(self, connection: Connection, partitions: dict[str, LogPartition]) -> dict[tuple[str, int], TableRow]:
        return {
            (topic, stored.offset): TableRow(stored.timestamp, stored.event)
            for topic, partition in partitions.items()
            for stored in rebuild(connection, topic, partition)
        }

    def _letters(self, connection: Connection, number: int) -> dict[tuple[str, int], Letter]:
        topics = {log_id: topic for topic, log_id in self._logs.items()}
        rows: Any = connection.execute(LETTERS, {"number": number})
        return {
            (topics[log_id], offset): Letter(time and time.replace(tzinfo=UTC), key, value, header_bytes(headers))
            for log_id, offset, time, key, value, headers, _reason in rows
        }

    def _orphans(self, child: str) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(text(ORPHANS[child])).scalar_one())


def _received(message: Message, partition: int, offset: int) -> ck.Message:
    topic, key, value, headers, timestamp = message
    return ck.Message(
        topic=topic, partition=partition, offset=offset, key=key, value=value, headers=[*headers] or None,
        timestamp=timestamp,
    )  # fmt: skip


def _wrong(message: Message, row: TableRow | None, letter: Letter | None) -> str | None:
    """What is wrong with how a message is stored; None: nothing."""
    timestamp = _time(message)
    try:
        event = parse(message.topic, message.value)
    except ValueError:
        event = None
    wanted_row = None if event is None or timestamp is None else TableRow(timestamp, event)
    wanted_letter = Letter(timestamp, message.key, message.value, message.headers) if wanted_row is None else None
    if row != wanted_row:
        return f"the tables hold {row}, not {wanted_row}"
    if letter != wanted_letter:
        return f"dead_letter holds {letter}, not {wanted_letter}"
    return None


def _time(message: Message) -> datetime | None:
    """The message's time, where a DATETIME can hold it."""
    kind, unix_ms = message.timestamp
    if kind == ck.TIMESTAMP_NOT_AVAILABLE:
        return None
    try:
        return EPOCH + timedelta(milliseconds=unix_ms)
    except OverflowError:
        return None


LETTERS = text(
    "SELECT log_id, kafka_offset, kafka_timestamp, message_key, message_value, headers, reason "
    "FROM dead_letter WHERE kafka_partition = :number"
)
ORPHANS = {
    "cart_item": "SELECT COUNT(*) FROM (SELECT cart_id FROM cart_item EXCEPT "
    "(SELECT cart_id FROM checkout UNION SELECT cart_id FROM `order`)) AS orphan",
    "shipping_address": "SELECT COUNT(*) FROM (SELECT address_id FROM shipping_address EXCEPT "
    "(SELECT address_id FROM checkout UNION SELECT address_id FROM `order`)) AS orphan",
}
