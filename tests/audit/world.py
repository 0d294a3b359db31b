"""A shop in memory for the auditor to judge: topics, tables, and what may be wrong with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from analytics_service.audit.auditor import RULES, Auditor
from analytics_service.audit.entries import EPOCH, ProjectedRow
from analytics_service.audit.messages import AuditedRange, Chunk, Letter, Message, StoredRow
from analytics_service.audit.report import Coordinates, DeadLetters, Report, Violation
from analytics_service.audit.rules import Terms
from shop.contract.events import Checkout, Event, Fulfillment, Order, serialize
from shop.contract.ids import fulfillment_id_of, order_id_of
from shop.contract.lifecycle import TOPICS, CheckoutStatus, FulfillmentStatus, OrderStatus
from tools.kit import samples

TopicPartition = tuple[str, int, int]
CHUNK = 7


@dataclass
class World:
    """Clean unless a test breaks it. One second passes between two messages."""

    partitions: int = 3
    settled: bool = True
    stuck_after: int = 60_000
    now: int = 1_800_000_000_000
    log: dict[tuple[str, int], list[Message]] = field(default_factory=dict)
    rows: dict[TopicPartition, StoredRow] = field(default_factory=dict)
    letters: dict[TopicPartition, Letter] = field(default_factory=dict)
    table: dict[str, ProjectedRow] = field(default_factory=dict)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    high_watermarks: dict[tuple[str, int], int] = field(default_factory=dict)
    unstored: dict[tuple[str, int], int] = field(default_factory=dict)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    lost: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    recreated: Mapping[str, int] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    dead_letters: DeadLetters = field(default_factory=DeadLetters)

    def __post_init__(self) -> None:
        self.log = {(topic, number): [] for topic in TOPICS for number in range(self.partitions)}

    # ---- what happens ----------------------------------------------------------------------------------------

    def publish(self, event: Event, partition: int, key: bytes | None = None, stored: bool = True) -> TopicPartition:
        """A message, its row, and what fulfillment's table makes of it."""
        topic_partition = self.append(
            event.topic, partition, event.key.encode() if key is None else key, serialize(event)
        )
        message = self.log[topic_partition[:2]][-1]
        if stored:
            self.rows[topic_partition] = StoredRow(message.time, serialize(event).decode())
        if isinstance(event, Fulfillment):
            self.project(event, message.time)
        return topic_partition

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> TopicPartition:
        log = self.log[topic, partition]
        self.now += 1000
        # One offset in five is a transaction's marker.
        offset = log[-1].offset + (2 if len(log) % 4 == 3 else 1) if log else 0
        log.append(Message(offset, self.now, True, key, value))
        return topic, partition, offset

    def project(self, event: Fulfillment, time: int) -> None:
        row = self.table.get(event.order_id)
        if row is None or (row.status == "SHIPPED" and event.status is FulfillmentStatus.DELIVERED):
            updated = event.updated_at or EPOCH + timedelta(milliseconds=time)
            row = ProjectedRow(
                event.fulfillment_id,
                event.order_id,
                event.status,
                row.created_at if row else event.created_at,
                updated,
            )
            self.table[event.order_id] = row

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1000)

    # ---- whole lives -----------------------------------------------------------------------------------------

    def checkout(self, number: int, status: CheckoutStatus) -> Checkout:
        return samples.checkout(number, status)

    def order(self, number: int, status: OrderStatus, **changes: object) -> Order:
        submitted = self.checkout(number, CheckoutStatus.SUBMITTED).model_dump(exclude={"status"})
        order_id = order_id_of(submitted["checkout_id"])
        return Order.model_validate({**submitted, "order_id": order_id, "status": status, **changes})

    def fulfillment(self, number: int, status: FulfillmentStatus, **changes: object) -> Fulfillment:
        order_id = self.order(number, OrderStatus.NEW).order_id
        times = {"created_at": samples.START, "updated_at": self.time()}
        ids = {"fulfillment_id": fulfillment_id_of(order_id), "order_id": order_id}
        return Fulfillment.model_validate({**ids, **times, "status": status, **changes})

    def event(self, number: int, status: StrEnum) -> Event:
        if isinstance(status, CheckoutStatus):
            return self.checkout(number, status)
        if isinstance(status, OrderStatus):
            return self.order(number, status)
        assert isinstance(status, FulfillmentStatus)
        return self.fulfillment(number, status)

    def live(self, number: int, *statuses: StrEnum, partition: int | None = None) -> list[TopicPartition]:
        """Publishes these events of the family of that number."""
        where = number % self.partitions if partition is None else partition
        return [self.publish(self.event(number, status), where) for status in statuses]

    def time(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self.now)

    # ---- the source ------------------------------------------------------------------------------------------

    @property
    def ranges(self) -> list[AuditedRange]:
        found = []
        for topic_partition, log in self.log.items():
            end = self.ends.get(topic_partition, log[-1].offset + 2 if log else 0)
            start = self.starts.get(topic_partition, 0)
            found.append(
                AuditedRange(
                    *topic_partition,
                    start,
                    self.high_watermarks.get(topic_partition, end),
                    end,
                    self.unstored.get(topic_partition, end),
                    self.lost.get(topic_partition, ()),
                )
            )
        return found

    def strays(self) -> Iterator[Violation]:
        return iter(())

    def chunks(self, of: AuditedRange) -> Iterator[Chunk]:
        messages = [one for one in self.log[of.topic, of.partition] if of.start <= one.offset < of.end]
        first = of.start
        for at in range(0, max(len(messages), 1), CHUNK):
            chunk = messages[at : at + CHUNK]
            last = at + CHUNK >= len(messages)
            end = of.end if last else chunk[-1].offset + 1
            yield Chunk(
                chunk,
                {offset: row for offset in range(first, end) if (row := self.rows.get((*of[:2], offset)))},
                {offset: one for offset in range(first, end) if (one := self.letters.get((*of[:2], offset)))},
            )
            first = end

    def projection(self) -> Iterator[ProjectedRow]:
        return iter(self.table.values())

    # ---- the verdict -----------------------------------------------------------------------------------------

    def audit(self, *expected: Coordinates) -> Report:
        report = Report(RULES.items(), expected)
        Auditor(self, Terms(self.now, self.stuck_after, self.settled), report).run()
        return report

    def broken(self, *expected: Coordinates) -> dict[str, list[tuple[str, int | None, int | None]]]:
        """Which rules are broken, and where."""
        report = self.audit(*expected)
        return {
            rule: [
                (one.coordinates.topic, one.coordinates.partition, one.coordinates.offset) for one in found.violations
            ]
            for rule, found in report.findings.items()
            if found.violations
        }


CHECKED_OUT = tuple(CheckoutStatus)
COMPLETED = (
    *CHECKED_OUT,
    OrderStatus.NEW,
    OrderStatus.MERCHANT_ACCEPTED,
    FulfillmentStatus.SHIPPED,
    OrderStatus.SHIPPED,
    FulfillmentStatus.DELIVERED,
    OrderStatus.COMPLETED,
)
CANCELLED = (*CHECKED_OUT, OrderStatus.NEW, OrderStatus.DISPUTED, OrderStatus.CANCELLED)
DROPPED_OUT = (CheckoutStatus.CREATED, CheckoutStatus.ADDRESS_SUBMITTED)
