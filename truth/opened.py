"""Which checkouts were opened: the ``created`` events of the topic, and nothing else of it."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from shop.contract.events import Checkout, parse
from shop.contract.lifecycle import CheckoutStatus
from shop.edges.settings import Settings
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import checked_offset

REPLY_SECONDS = 5.0
SILENCE_SECONDS = 30.0
CHUNK = 5000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """A span of broker time, from inclusive, to exclusive; None: without that end."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, unix_ms: int) -> bool:
        at = EPOCH + timedelta(milliseconds=unix_ms)
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def opened(settings: Settings, span: Span) -> Iterator[Checkout]:
    """The checkouts whose first committed ``created`` event of those that the topic holds as of now lies within
    ``span``, each once. What is no valid event is passed over. Remembers all ids: 150 bytes per checkout.

    Raises UserError when the topic is missing or the broker does not answer."""
    topic, address, name = settings.namespace + Checkout.topic, settings.kafka_bootstrap, f"{settings.namespace}truth"
    silent = logging.getLogger("librdkafka")
    silent.disabled = True
    client: dict[str, Any] = {"bootstrap.servers": address, "client.id": name, "logger": silent}
    client |= settings.kafka_login
    consumer = ck.Consumer(
        {
            **client,
            # Required, though no group is joined: partitions are assigned by hand, and no offset is stored.
            "group.id": name,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            # At the end of a partition a request waits for as long, and the other partitions with it.
            "fetch.wait.max.ms": 20,
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": 16_384,
        }
    )
    try:
        topics = consumer.list_topics(timeout=REPLY_SECONDS).topics
        if topic not in topics:
            raise UserError(f"Kafka at {address} has no topic {topic}: run ./init-kafka.sh")
        ends = _ends(AdminClient(client), topic, topics[topic].partitions)
        ids: set[str] = set()
        for message in _messages(consumer, topic, ends):
            event = _event(message)
            if event is None or event.status is not CheckoutStatus.CREATED or event.checkout_id in ids:
                continue
            ids.add(event.checkout_id)
            if span.holds(message.timestamp()[1]):
                yield event
    except (ck.KafkaException, TimeoutError, Unavailable) as failure:
        reason = failure.args[0].str() if isinstance(failure, ck.KafkaException) else "no answer in time"
        raise UserError(f"Kafka at {address} (KAFKA_BOOTSTRAP) does not answer: {reason}") from None
    finally:
        consumer.close()


def _ends(admin: AdminClient, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Up to where each partition is decided, committed or aborted (last stable offset)."""
    asked = {ck.TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}  # type: ignore[no-untyped-call]
    answers = admin.list_offsets(
        asked, isolation_level=ck.IsolationLevel.READ_COMMITTED, request_timeout=REPLY_SECONDS
    )
    return {
        place.partition: checked_offset(future.result(2 * REPLY_SECONDS).offset) for place, future in answers.items()
    }


def _messages(consumer: ck.Consumer, topic: str, ends: Mapping[int, int]) -> Iterator[ck.Message]:
    """The messages of all partitions up to their ends. Raises TimeoutError when nothing comes for long."""
    unread = {number: end for number, end in ends.items() if end > 0}
    consumer.assign([ck.TopicPartition(topic, number, ck.OFFSET_BEGINNING) for number in unread])
    heard = time.monotonic()
    while unread:
        chunk = consumer.consume(CHUNK, 0.2)
        if time.monotonic() - heard > SILENCE_SECONDS:
            raise TimeoutError
        for message in chunk:
            error, partition, offset = message.error(), message.partition(), message.offset()
            # Other errors, such as a broker that is away for a moment, end by themselves or in silence.
            if offset is None or partition not in unread or (error and error.code() != ck.KafkaError._PARTITION_EOF):
                continue
            heard = time.monotonic()
            reached = offset if error else offset + 1
            if not error and offset < unread[partition]:
                yield message
            if reached >= unread[partition]:
                del unread[partition]


def _event(message: ck.Message) -> Checkout | None:
    """The event in the message; None when it is not valid."""
    try:
        event = parse(Checkout.topic, message.value())
    except ValueError:
        return None
    assert isinstance(event, Checkout)
    return event
