"""A restore that is followed by another one, and another one: it neither hurries nor says the same again."""

import pytest
from structlog.testing import capture_logs

from shop.contract.lifecycle import OrderStatus
from shop.runtime.errors import TransactionFailed, Unavailable
from shop.runtime.log import Batch, CommittedTransaction, Outgoing
from shop.runtime.refusals import SAID_LIMIT
from tests.runtime.behaviour import FORGETFUL, order_of
from tests.runtime.fake_log import FakeLog
from tests.runtime.fake_world import TURN_SECONDS, FakeWorld
from tools.kit.samples import submitted

MINUTE = int(60 / TURN_SECONDS)
FEW = 15
"""Restores within a minute: as many as pauses of 0.1, 0.2, 0.4 ... 10 s allow, and some."""


class RefusedEvents(FakeLog):
    """As a topic is that was opened to others: offsets are committed, events are not."""

    def publish(self, message: Outgoing) -> None:  # noqa: ARG002 (it refuses any)
        raise TransactionFailed("not authorized")


class RefusedOffsets(FakeLog):
    def await_commit(self) -> CommittedTransaction | None:
        under_way, done = self._under_way, super().await_commit()
        if under_way is not None and under_way[1].events:
            self._failed = True
            raise TransactionFailed("the answer was lost, though it was committed")
        return done


class Deaf(FakeLog):
    def poll(self, max_records: int, timeout: float) -> Batch:
        batch = super().poll(max_records, timeout)
        if batch.records:
            self.start({})
            raise Unavailable("the consumer failed")
        return batch


class Rebalanced(FakeLog):
    """As a group is whose members join and leave without end."""

    def poll(self, max_records: int, timeout: float) -> Batch:
        batch = super().poll(max_records, timeout)
        if batch.records:
            self.start({})
        return Batch(batch.records, batch.ends, reassigned=batch.reassigned or bool(batch.records))


class Recreated(FakeLog):
    def poll(self, max_records: int, timeout: float) -> Batch:
        batch = super().poll(max_records, timeout)
        if batch.records:
            self.broker.recreate("fulfillment")
        return batch


@pytest.mark.claim("pauses between restores grow, whatever the reason", section="restore", tried="broken")
@pytest.mark.parametrize("kind", [RefusedEvents, RefusedOffsets, Deaf, Rebalanced, Recreated])
def test_whatever_the_reason_the_pauses_between_restores_grow(kind: type[FakeLog]) -> None:
    world = FakeWorld()
    with capture_logs() as logs:
        world.run(world.fake_log("order", kind=kind), FORGETFUL)
        for number in range(MINUTE):
            world.publish("checkout", number % 3, *submitted(number))
            world.turn()
    restores = [line for line in logs if line["event"] == "reading the output topic"]
    assert 4 < len(restores) < FEW


def test_after_a_steady_time_the_next_restore_is_at_once_again() -> None:
    world = FakeWorld()
    processor = world.run(world.fake_log("order"))
    world.until(lambda: processor.live, "the service")
    for _ in range(3):
        world.turns(MINUTE)
        world.broker.groups["order"].generation += 1
        world.turns(4)
        assert processor.live


BAD = [b"{", None, b"\xff", submitted(1)[1][:-1]]


@pytest.mark.claim("a refused message is logged once, however often it is read", section="restore", tried="broken")
def test_a_message_that_is_refused_is_said_once_however_often_it_is_read_and_counted_each_time() -> None:
    world = FakeWorld()
    for status in (OrderStatus.NEW, OrderStatus.MERCHANT_ACCEPTED):
        world.publish("order", 0, *order_of(0, status))
    for value in BAD:
        world.publish("order", 0, b"key", value)
        world.publish("checkout", 0, b"key", value)
    world.publish("order", 0, *order_of(0, OrderStatus.DISPUTED))
    world.publish("checkout", 0, *submitted(3))
    with capture_logs() as logs:
        processor = world.run(world.fake_log("order", kind=RefusedEvents), FORGETFUL)
        world.turns(MINUTE)
        refused = [line for line in logs if line["event"].endswith("message ignored")]
    coordinates = [(line["topic"], line["partition"], line["offset"]) for line in refused]
    assert sorted(coordinates) == sorted(set(coordinates))
    assert len(coordinates) == 2 * len(BAD) + 1
    assert processor.counts["invalid"] > 4 * len(BAD)
    assert processor.counts["illegal"] > 2


def test_what_a_recreated_topic_holds_is_said_although_the_same_offsets_were_said_before() -> None:
    world = FakeWorld()
    with capture_logs() as logs:
        world.run(world.fake_log("order"))
        for _ in range(2):
            world.publish("checkout", 0, b"key", b"{")
            world.turns(20)
            world.recreate("checkout")
            world.turns(20)
    assert [line["offset"] for line in logs if line["event"] == "invalid message ignored"] == [0, 0]


def test_of_a_flood_a_bounded_number_is_said_and_all_are_counted() -> None:
    world = FakeWorld()
    flood = SAID_LIMIT + 500
    for _ in range(flood):
        world.publish("checkout", 0, b"key", b"{")
    with capture_logs() as logs:
        processor = world.run(world.fake_log("order"))
        world.until(lambda: processor.counts["invalid"] == flood, "all to be counted")
    said = [line["event"] for line in logs if line["log_level"] == "warning"]
    assert said.count("invalid message ignored") == SAID_LIMIT
    assert said.count("further messages that are ignored are counted only") == 1
