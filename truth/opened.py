"""Which checkouts were opened: the ``created`` events of the topic, and nothing else of it."""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import confluent_kafka as ck

from shop.contract.events import Checkout, parse
from shop.contract.lifecycle import CheckoutStatus
from shop.edges.kafka import kafka_options
from shop.edges.settings import Settings
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.admin import Admin
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.log import TopicPartition

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
    address = settings.kafka_bootstrap
    silent = logging.getLogger("librdkafka")
    silent.disabled = True
    options = kafka_options(settings, "truth", (Checkout.topic,), silent)
    consumer = ck.Consumer(options.reader() | {"auto.offset.reset": "earliest"})
    try:
        admin = Admin(options, REPLY_SECONDS)
        ends = admin.last_stable_offsets(admin.partitions())
        ids: set[str] = set()
        for message in _messages(consumer, options, ends):
            event = _event(message)
            if event is None or event.status is not CheckoutStatus.CREATED or event.checkout_id in ids:
                continue
            ids.add(event.checkout_id)
            if span.holds(message.timestamp()[1]):
                yield event
    except (ck.KafkaException, TimeoutError, Unavailable) as failure:
        reason = failure.args[0].str() if isinstance(failure, ck.KafkaException) else failure
        raise UserError(f"Kafka at {address} (KAFKA_BOOTSTRAP) does not answer: {reason}") from None
    finally:
        consumer.close()


def _messages(
    consumer: ck.Consumer, options: KafkaOptions, ends: Mapping[TopicPartition, int]
) -> Iterator[ck.Message]:
    """The messages of all partitions up to their ends. Raises TimeoutError when nothing comes for long."""
    unread = {at.partition: end for at, end in ends.items() if end > 0}
    consumer.assign([options.theirs(at, ck.OFFSET_BEGINNING) for at, end in ends.items() if end > 0])
    heard = time.monotonic()
    while unread:
        chunk = consumer.consume(CHUNK, 0.2)
        if time.monotonic() - heard > SILENCE_SECONDS:
            raise TimeoutError("no answer in time")
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
