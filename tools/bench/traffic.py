"""A real run's messages, and as many more like them as a benchmark needs.

The three publishing services run for a few seconds. What they published is replayed over and over, each time with
ids of its own, so that a million messages have the order, the mix and the sizes that the services give them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import NamedTuple

import confluent_kafka as ck
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from shop.contract.ids import fulfillment_id_of, order_id_of, time_ordered_id
from shop.contract.lifecycle import TOPICS
from shop.runtime.log import Record
from tools.bench.stage import PARTITIONS, Stage, wait_until
from tools.kit.shop import Shop

RECORDED = 60_000
RATE = 3000
SPEED = 1000
DEFAULTS = {"CONVERSION": "0.07", "CUSTOMERS": "2000", "KPI_EVERY": "3600"}
"""The services' own defaults, where the tests have others."""
IN_FLIGHT = 100_000
MESSAGES_PER_CHECKOUT = 1.8
"""Of all topics, at a conversion of 7 %."""


class Message(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    unix_ms: int


class Recorded(NamedTuple):
    """A message, and the number of the checkout that it belongs to, counted from 0 in the order of their creation."""

    message: Message
    checkout: int


@dataclass(frozen=True)
class Traffic:
    """The messages of a real run in the order of the broker's time, and the ids of its checkouts."""

    messages: Sequence[Recorded]
    checkout_ids: Sequence[str]

    def replay(self, random: Random, unix_ms: int, rate: float) -> Iterator[Message]:
        """The messages over and over, without end: ``rate`` per second from ``unix_ms`` on, with ids of that time."""
        old = [_ids(one) for one in self.checkout_ids]
        per_checkout = len(self.messages) / len(old)
        for number in count():
            start = unix_ms + number * len(self.messages) / rate * 1000
            new = [
                _ids(time_ordered_id(int(start + position * per_checkout / rate * 1000), random.getrandbits(74)))
                for position in range(len(old))
            ]
            for position, ((topic, key, value, _), checkout) in enumerate(self.messages):
                for before, after in zip(old[checkout], new[checkout], strict=True):
                    value, key = value.replace(before, after), key.replace(before, after)  # noqa: PLW2901
                yield Message(topic, key, value, int(start + position / rate * 1000))


def _ids(checkout_id: str) -> tuple[bytes, bytes, bytes]:
    order_id = order_id_of(checkout_id)
    return checkout_id.encode(), order_id.encode(), fulfillment_id_of(order_id).encode()


def record(stage: Stage) -> Traffic:
    """Runs checkout, order and fulfillment until they have published enough, and all of it to its end."""
    wanted = RECORDED // 10 if stage.quick else RECORDED
    shop = Shop(stage.kafka, stage.mariadb, stage.folder, speed=SPEED, rate=RATE, partitions=PARTITIONS)
    shop.environment |= DEFAULTS
    try:
        for service in ("fulfillment", "order", "checkout"):
            shop.start(service).until_logged("caught up")
        wait_until(lambda: published(shop) >= wanted, f"{wanted} messages", 120)
        shop.services["checkout", "0"].stop()
        shop.start("checkout", CHECKOUT_RATE="0")
        seen: list[int] = []

        def quiet() -> bool:
            seen.append(published(shop))
            return len(seen) > 40 and len(set(seen[-40:])) == 1

        wait_until(quiet, "the services to come to rest", 120)
        records = [record for topic in TOPICS for record in shop.world.records(topic)]
    finally:
        shop.close()
    records.sort(key=lambda record: record.timestamp)
    return _traffic(records)


def _traffic(records: Sequence[Record]) -> Traffic:
    checkouts: dict[str, int] = {}
    for record_ in records:
        if record_.topic == "checkout" and record_.key is not None:
            checkouts.setdefault(record_.key.decode(), len(checkouts))
    number_of = checkouts | {order_id_of(checkout_id): number for checkout_id, number in checkouts.items()}
    return Traffic(
        [
            Recorded(Message(topic, key, value, int(unix * 1000)), number_of[key.decode()])
            for topic, _, _, unix, key, value in records
            if key is not None and value is not None
        ],
        list(checkouts),
    )


def ends_of(shop: Shop, partitions: int = PARTITIONS) -> dict[tuple[str, int], int]:
    """The high watermark of every partition."""
    topic_partitions = [
        ck.TopicPartition(shop.world.namespace + topic, number) for topic in TOPICS for number in range(partitions)
    ]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = shop.world.admin.list_offsets(dict.fromkeys(topic_partitions, latest))
    return {
        (topic_partition.topic, topic_partition.partition): int(future.result(10).offset)
        for topic_partition, future in asked.items()
    }


def published(shop: Shop) -> int:
    """Offsets that the topics hold: messages, and a marker for each partition of a transaction."""
    return sum(ends_of(shop).values())


def writer(bootstrap: str) -> ck.Producer:
    """A producer for ``write``."""
    return ck.Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": IN_FLIGHT,
        }
    )


def write(producer: ck.Producer, namespace: str, messages: Iterator[Message], total: int) -> None:
    """Publishes the next ``total`` messages. A topic that keeps the producer's time keeps the message's own."""
    for topic, key, value, unix_ms in islice(messages, total):
        while True:
            try:
                producer.produce(namespace + topic, value, key, timestamp=unix_ms)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0, "the broker does not take the messages"
