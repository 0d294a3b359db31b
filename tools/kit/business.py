"""A day of shop for analytics: the events that the three services would publish, without the services."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

from shop.contract.events import CartItem, Checkout, Event, Fulfillment, Order, ShippingAddress, serialize
from shop.contract.ids import fulfillment_id_of, order_id_of, time_ordered_id
from shop.contract.lifecycle import TOPICS, CheckoutStatus, FulfillmentStatus, OrderStatus

PARTITIONS = 3
Headers = list[tuple[str, str | bytes | None]]
Keyed = tuple[str, bytes | None, bytes | None]
"""Topic, key and value of a message."""


def checkout_id(number: int) -> str:
    """The id of the checkout of that number."""
    return time_ordered_id(1_800_000_000_000 + number, (number * 0x9E3779B97F4A7C15) & (2**74 - 1))


def life(number: int, steps: int = 4) -> Iterator[Event]:
    """The events of one checkout, which gets ``steps`` of its four steps done, its order and its fulfillment."""
    start = datetime(2027, 1, 15, 8, 0, tzinfo=UTC) + timedelta(milliseconds=number)
    address = ShippingAddress(
        name=f"Ada {number % 50}", street="Lindenstraße 7", zip="10969", city="Berlin\t2", country="DE"
    )
    items = tuple(
        CartItem(product_id=f"product-{(number + line) % 300}", quantity=1 + line, price=Decimal("19.90"))
        for line in range(1 + number % 4)
    )
    total = sum((item.price * item.quantity for item in items), Decimal(0))
    cart: dict[str, Any] = {
        "user_id": time_ordered_id(1_700_000_000_000, number % 97),
        "cart_items": items,
        "total_amount": total,
    }
    common: dict[str, Any] = {**cart, "currency": "EUR", "created_at": start}
    for step, reached in enumerate(list(CheckoutStatus)[:steps]):
        yield Checkout(
            checkout_id=checkout_id(number),
            payment_method="credit_card" if step > 1 else None,
            shipping_address=address if step > 0 else None,
            status=reached,
            updated_at=start + timedelta(seconds=step),
            **common,
        )
    if steps < 4:
        return
    order_id = order_id_of(checkout_id(number))
    disputed = number % 20 == 0
    happy = [OrderStatus.NEW, OrderStatus.MERCHANT_ACCEPTED, OrderStatus.SHIPPED, OrderStatus.COMPLETED]
    for status in [OrderStatus.NEW, OrderStatus.DISPUTED, OrderStatus.CANCELLED] if disputed else happy:
        yield Order(
            order_id=order_id,
            checkout_id=checkout_id(number),
            payment_method="credit_card",
            shipping_address=address,
            status=status,
            updated_at=start + timedelta(seconds=10),
            **common,
        )
    if not disputed:
        for shipping in FulfillmentStatus:
            yield Fulfillment(
                fulfillment_id=fulfillment_id_of(order_id),
                order_id=order_id,
                status=shipping,
                created_at=start + timedelta(seconds=12),
                updated_at=None,
            )


def lives(numbers: Sequence[int]) -> Iterator[Event]:
    """Many checkouts, most of which are abandoned on the way."""
    for number in numbers:
        yield from life(number, steps=4 if number % 14 == 0 else 1 + number % 3)


class TopicContents:
    """The three topics under a namespace of their own, and a producer that writes to them in transactions."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self.namespace = namespace
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self._bootstrap = bootstrap
        self._producer: ck.Producer | None = None

    def create(self, partitions: int = PARTITIONS, *, only: Sequence[str] = TOPICS, **config: str) -> None:
        settings = {"message.timestamp.type": "LogAppendTime", **{k.replace("_", "."): v for k, v in config.items()}}
        new = [NewTopic(self.namespace + topic, partitions, 1, config=settings) for topic in only]
        for future in self.admin.create_topics(new).values():
            future.result(20)

    def delete(self, *topics: str) -> None:
        for future in self.admin.delete_topics([self.namespace + topic for topic in topics or TOPICS]).values():
            future.result(20)

    def grow(self, partitions: int, *, only: Sequence[str] = TOPICS) -> None:
        new = [NewPartitions(self.namespace + topic, partitions) for topic in only]
        for future in self.admin.create_partitions(new).values():
            future.result(20)

    def publish(self, events: Iterator[Event] | Sequence[Event]) -> int:
        """Publishes the events in one transaction; returns their number."""
        return self.produce((event.topic, event.key.encode(), serialize(event)) for event in events)

    def produce(self, messages: Iterator[Keyed] | Sequence[Keyed], headers: Headers | None = None) -> int:
        """Publishes any messages in one transaction; returns their number."""
        if self._producer is None:
            self._producer = ck.Producer(
                {
                    "bootstrap.servers": self._bootstrap,
                    "transactional.id": f"{self.namespace}test",
                    "transaction.timeout.ms": 10_000,
                    "topic.metadata.refresh.interval.ms": 1000,
                    "linger.ms": 5,
                    "message.max.bytes": 5_000_000,
                    "queue.buffering.max.messages": 1_000_000,
                }
            )
            self._producer.init_transactions(30)
        self._producer.begin_transaction()
        count = 0
        for topic, key, value in messages:
            self._producer.produce(self.namespace + topic, value, key, headers=headers or [])
            count += 1
            if count % 1000 == 0:
                self._producer.poll(0)
        self._producer.commit_transaction(60)
        return count

    def exist(self) -> bool:
        """Whether any of the topics is there."""
        known = self.admin.list_topics(timeout=10).topics
        return any(self.namespace + topic in known for topic in TOPICS)
