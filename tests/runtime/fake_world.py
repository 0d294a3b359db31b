"""The set in memory: a step of every service, then the clock moves on."""

from collections.abc import Callable
from typing import Any

import pytest

from shop.contract.lifecycle import TOPICS
from shop.contract.rules import Rules
from shop.runtime.log import Log, Record, TopicPartition
from shop.runtime.loop import Processor
from shop.runtime.partition import Limits
from tests.runtime.fake_log import FakeBroker, FakeClock, FakeLog
from tests.runtime.world import PARTITIONS, World

TURN_SECONDS = 0.05
MOST_TURNS = 2000


class FakeWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.broker = FakeBroker(self.clock, TOPICS, PARTITIONS)

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

    def log_of(self, service: str, slot: str, rules: Rules[Any]) -> Log:
        return FakeLog(self.broker, service, slot, service, rules.inputs)

    def processor(self, log: Log, rules: Rules[Any], limits: Limits) -> Processor:
        return Processor(log, rules, self.clock, limits)

    def stop(self, service: str, slot: str = "0") -> None:
        self.services.pop((service, slot)).run(stop=lambda: True)
        del self.logs[service, slot]

    def expire(self, service: str, slot: str) -> None:
        self.broker.leave(service, f"{service}-{slot}")

    def open_transaction(self, topic: str, partition: int, value: bytes) -> Callable[[], None]:
        transaction = self.broker.begin("somebody")
        self.broker.append(TopicPartition(topic, partition), None, value, transaction)
        return lambda: self.broker.end(transaction, commit=False)

    def make_anew(self, topic: str) -> None:
        self.broker.make_anew(topic)

    def add_partitions(self, topic: str, total: int) -> None:
        self.broker.partitions[topic] = total
        for group in self.broker.groups.values():
            group.generation += 1
