"""The set in memory: a step of every service, then the clock moves on."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shop.contract.lifecycle import TOPICS
from shop.contract.rules import Rules
from shop.runtime.limits import Limits
from shop.runtime.log import Log, Offsets, Record, TopicPartition
from shop.runtime.loop import Processor
from tests.runtime.fake_log import FakeBroker, FakeClock, FakeLog
from tools.kit.world import PARTITIONS, World, rules_of

TURN_SECONDS = 0.05
MOST_TURNS = 2000


class FakeWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.broker = FakeBroker(self.clock, TOPICS, PARTITIONS)
        self.fetch_size = 1000
        """Records that a poll gives at most."""

    def until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(MOST_TURNS):
            if condition():
                return
            self.turn()
        pytest.fail(f"waited in vain for {what}")

    def turn(self) -> None:
        self.clock.now += TURN_SECONDS
        self.broker.abort_expired()
        for processor in list(self.services.values()):
            processor.step()

    def publish(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        self.broker.append(TopicPartition(topic, partition), key, value)

    def records(self, topic: str) -> list[Record]:
        return self.broker.committed_records(topic)

    def log_of(self, service: str, slot: str, rules: Rules[Any]) -> Log:  # noqa: ARG002 (they are the service's)
        return self.fake_log(service, slot)

    def fake_log(
        self,
        service: str,
        slot: str = "0",
        kind: type[FakeLog] = FakeLog,
        at: Callable[[str], None] = lambda _point: None,
    ) -> FakeLog:
        """A member of the service's group, whose points ``at`` is called with."""
        return kind(self.broker, service, slot, service, rules_of(service).inputs, at, lambda: self.fetch_size)

    def run(self, log: FakeLog, limits: Limits | None = None, **settings: Any) -> Processor:
        """Starts a service on this log; ``settings`` are those of its rules, ``projection`` its table."""
        service, slot = log.slot.split("-")
        projection = settings.pop("projection", None)
        rules = rules_of(service, **settings)
        processor = Processor(log, rules, self.clock, limits or Limits(), projection=projection)
        self.services[service, slot] = processor
        return processor

    def kill(self, service: str, slot: str = "0") -> None:
        del self.services[service, slot]

    def turn_of(self, processor: Processor) -> None:
        """A turn of this one alone, for one that is stopped or replaced."""
        self.clock.now += TURN_SECONDS
        processor.step()

    def turns(self, number: int) -> None:
        for _ in range(number):
            self.turn()

    def processor(self, log: Log, rules: Rules[Any], limits: Limits, accept_loss: bool) -> Processor:
        return Processor(log, rules, self.clock, limits, accept_loss=accept_loss)

    def stop(self, service: str, slot: str = "0") -> None:
        self.services.pop((service, slot)).run(stop=lambda: True)
        del self.logs[service, slot]

    def expire(self, service: str, slot: str) -> None:
        self.broker.leave(service, f"{service}-{slot}")

    def open_transaction(self, topic: str, partition: int, value: bytes) -> Callable[[], None]:
        transaction = self.broker.begin("somebody")
        self.broker.append(TopicPartition(topic, partition), None, value, transaction)
        return lambda: self.broker.end(transaction, commit=False)

    def committed(self, service: str) -> Offsets:
        return dict(self.broker.groups[service].offsets)

    def replace_offsets(self, service: str, offsets: Offsets) -> None:
        self.broker.groups[service].offsets = dict(offsets)

    def ends(self) -> Mapping[TopicPartition, int]:
        topic_partitions = [
            TopicPartition(topic, number) for topic in TOPICS for number in range(self.broker.partitions[topic])
        ]
        return {topic_partition: len(self.broker.log(topic_partition)) for topic_partition in topic_partitions}

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        self.broker.beginnings[TopicPartition(topic, partition)] = before

    def recreate(self, topic: str) -> None:
        self.broker.recreate(topic)

    def add_partitions(self, topic: str, total: int) -> None:
        self.broker.partitions[topic] = total
        for group in self.broker.groups.values():
            group.generation += 1
