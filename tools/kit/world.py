"""One stage for the behaviour suite, with two sets: a broker in memory, and the real one.

A test says what happens and waits for what must come of it; ``until`` lets all running services work meanwhile.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from checkout_service.rules import checkout_rules
from fulfillment_service.rules import fulfillment_rules
from order_service.rules import order_rules
from shop.contract.events import Event, parse
from shop.contract.rules import Rules
from shop.runtime.limits import Limits
from shop.runtime.log import Log, Offsets, Record, TopicPartition
from shop.runtime.loop import Processor
from tools.kit.samples import ADDRESS

PARTITIONS = 3
SPEED = 100.0


def rules_of(service: str, speed: float = SPEED, dispute_rate: float = 0.0) -> Rules[Any]:
    if service == "checkout":
        return checkout_rules(seed=1, speed=speed, conversion=1.0, address_of=lambda _: ADDRESS)
    if service == "order":
        return order_rules(seed=1, speed=speed, dispute_rate=dispute_rate)
    return fulfillment_rules(seed=1, speed=speed)


class World(ABC):
    """``services`` are the running processors, by service and slot."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, str], Processor] = {}
        self.logs: dict[tuple[str, str], Log] = {}

    @abstractmethod
    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Lets the services run until ``condition`` holds; fails the test when it does not in time."""

    @abstractmethod
    def publish(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """A message of somebody else, without a transaction."""

    @abstractmethod
    def records(self, topic: str) -> list[Record]:
        """What a read_committed consumer sees, each partition in its order."""

    @abstractmethod
    def log_of(self, service: str, slot: str, rules: Rules[Any]) -> Log: ...

    @abstractmethod
    def processor(self, log: Log, rules: Rules[Any], limits: Limits, accept_loss: bool) -> Processor: ...

    @abstractmethod
    def stop(self, service: str, slot: str = "0") -> None:
        """Ends a service in good order."""

    @abstractmethod
    def expire(self, service: str, slot: str) -> None:
        """Makes the group forget a slot whose service is stopped."""

    @abstractmethod
    def open_transaction(self, topic: str, partition: int, value: bytes) -> Callable[[], None]:
        """Leaves somebody's transaction open on a partition; the call that it returns aborts it."""

    @abstractmethod
    def committed(self, service: str) -> Offsets:
        """The offsets that the service's group has committed."""

    @abstractmethod
    def replace_offsets(self, service: str, offsets: Offsets) -> None:
        """What an administrator may do while the group has no members: these offsets and no others are there then."""

    @abstractmethod
    def ends(self) -> Mapping[TopicPartition, int]:
        """The high watermark of every partition."""

    @abstractmethod
    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """What retention does, at once."""

    @abstractmethod
    def recreate(self, topic: str) -> None: ...

    @abstractmethod
    def add_partitions(self, topic: str, total: int) -> None: ...

    def start(
        self,
        service: str,
        slot: str = "0",
        limits: Limits | None = None,
        dispute_rate: float = 0.0,
        accept_loss: bool = False,
    ) -> Processor:
        rules = rules_of(service, dispute_rate=dispute_rate)
        log = self.log_of(service, slot, rules)
        self.logs[service, slot] = log
        processor = self.processor(log, rules, limits or Limits(offsets_interval=0.2), accept_loss)
        self.services[service, slot] = processor
        return processor

    def events(self, topic: str) -> list[Event]:
        return [parse(topic, record.value) for record in self.records(topic)]

    def statuses(self, topic: str) -> Counter[str]:
        return Counter(str(event.status) for event in self.events(topic))

    def until_statuses(self, topic: str, **wanted: int) -> None:
        self.until(lambda: Counter(wanted) <= self.statuses(topic), f"{topic} with {wanted}")

    def until_live(self, service: str, slot: str = "0") -> None:
        processor = self.services[service, slot]
        self.until(lambda: processor.live, f"{service}-{slot} to be caught up")

    def until_read_to_the_end(self) -> None:
        """Until every running service has read all that there is, and has nothing left to do of it."""
        for processor in self.services.values():
            self.until(lambda processor=processor: self._is_at_rest(processor), "all to be read")  # type: ignore[misc]

    def _is_at_rest(self, processor: Processor) -> bool:
        ends = self.ends()
        behind = [
            topic_partition for topic_partition, offset in processor.next.items() if offset < ends[topic_partition]
        ]
        return processor.live and not behind and not processor.pending

    def until_read(self, service: str, count: int, slot: str = "0") -> None:
        processor = self.services[service, slot]
        self.until(lambda: processor.counts["read"] >= count, f"{service}-{slot} to have read {count} records")
