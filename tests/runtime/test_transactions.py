"""What is in a transaction, how large it is, and what comes before it."""

from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from shop.contract.lifecycle import OrderStatus
from shop.runtime.entity import Entity
from shop.runtime.errors import TransactionTimedOut, Unavailable
from shop.runtime.limits import Limits
from shop.runtime.log import Offsets, Outgoing, Record, TopicPartition
from tests.runtime.behaviour import order_of
from tests.runtime.fake_log import FakeLog
from tests.runtime.fake_world import FakeWorld
from tools.kit.samples import submitted
from tools.kit.world import PARTITIONS

ENOUGH_TURNS = 40


class WatchedLog(FakeLog):
    """``watch`` sees the messages and offsets of every transaction before it ends."""

    watch: Callable[[Sequence[Outgoing], Offsets], None]

    def begin(self) -> None:
        self.messages: list[Outgoing] = []
        super().begin()

    def publish(self, message: Outgoing) -> None:
        self.messages.append(message)
        super().publish(message)

    def commit(self, offsets: Offsets) -> None:
        self.watch(self.messages, offsets)
        super().commit(offsets)


def watched(world: FakeWorld, service: str, watch: Callable[..., None]) -> WatchedLog:
    log = world.fake_log(service, kind=WatchedLog)
    assert isinstance(log, WatchedLog)
    log.watch = watch
    return log


@pytest.mark.claim(
    "every transaction commits the offset of every partition held", section="transactions", tried="broken"
)
def test_every_transaction_stores_the_offset_of_every_partition_held() -> None:
    world = FakeWorld()
    stored: list[set[TopicPartition]] = []
    world.run(watched(world, "order", lambda _messages, offsets: stored.append(set(offsets))))
    for number in range(9):
        world.publish("checkout", number % PARTITIONS, *submitted(number))
        world.turn()
    world.until_statuses("order", MERCHANT_ACCEPTED=9)
    topics = ("checkout", "order", "fulfillment")
    held = {TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)}
    assert len(stored) > 1
    assert all(topic_partitions == held for topic_partitions in stored)


@pytest.mark.claim(
    "a member that lost its partitions since it polled publishes nothing", section="transactions", tried="not broken"
)
def test_a_member_that_lost_its_partitions_since_it_polled_publishes_nothing() -> None:
    """Only a timer has come due, no offset moves: without offsets in the transaction nobody would notice."""
    world = FakeWorld()
    lost: list[str] = []

    def lose(point: str) -> None:
        armed = member.counts["published"] == 1 and not lost
        if armed and point == "after produce before offsets" and world.broker.transactions[-1].touched:
            lost.append(point)
            world.expire("order", "0")

    member = world.run(world.fake_log("order", at=lose), speed=1.0)
    world.publish("checkout", 0, *submitted(0))
    world.until_statuses("order", NEW=1)
    world.until(lambda: bool(lost), "the merchant's answer")
    assert world.statuses("order") == {"NEW": 1}
    assert member.counts["restores"] == 1


@pytest.mark.claim(
    "a transaction that took too long is followed by smaller ones", section="transactions", tried="broken"
)
def test_a_transaction_that_took_too_long_is_followed_by_smaller_ones() -> None:
    world = FakeWorld()
    sizes: list[int] = []

    def slow_broker(messages: Sequence[Outgoing], _offsets: Offsets) -> None:
        if messages:
            sizes.append(len(messages))
        if len(messages) > 100:
            raise TransactionTimedOut("more than the broker takes in time")

    log = watched(world, "order", slow_broker)
    for number in range(400):
        world.publish("checkout", number % PARTITIONS, *submitted(number))
    world.run(log, Limits(transaction_events=400))
    world.until_statuses("order", MERCHANT_ACCEPTED=400)
    assert sizes[:3] == [400, 200, 100]
    assert world.statuses("order") == {"NEW": 400, "MERCHANT_ACCEPTED": 400}


class Table:
    """A projection in memory that can be away."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.away = False

    def wait_until_ready(self, stop: Callable[[], bool]) -> None: ...

    def apply(self, latest: Sequence[tuple[Record, Entity]]) -> None:
        if self.away:
            raise Unavailable("the table is away")
        for record, entity in latest:
            assert record.value is not None
            self.rows[entity.id] = record.value


@pytest.mark.claim("the projection is written before its offset is committed", section="transactions", tried="broken")
def test_the_projection_is_written_before_its_offset_is_committed() -> None:
    world = FakeWorld()
    table = Table()

    def all_below_is_applied(_messages: Sequence[Outgoing], offsets: Offsets) -> None:
        for topic_partition, committed in offsets.items():
            if topic_partition.topic != "fulfillment":
                continue
            there = [one for one in world.records("fulfillment") if one.partition == topic_partition.partition]
            latest = {one.key: one for one in there}
            for record in latest.values():
                if record.offset < committed.offset and record.key is not None:
                    assert table.rows.get(record.key.decode()) == record.value

    limits = Limits(dedupe_window=0.0, offsets_interval=0.0, transaction_interval=0.0)
    world.run(watched(world, "fulfillment", all_below_is_applied), limits, projection=table)
    for number in range(9):
        for status in (OrderStatus.MERCHANT_ACCEPTED, OrderStatus.SHIPPED):
            world.publish("order", number % PARTITIONS, *order_of(number, status))
            world.turn()
    world.until_statuses("fulfillment", DELIVERED=9)
    world.until(lambda: world.broker.groups["fulfillment"].offsets[TopicPartition("fulfillment", 0)].offset > 5, "it")
    assert {topic_partition.partition for topic_partition in world.broker.groups["fulfillment"].offsets} == {0, 1, 2}


def test_while_the_projection_is_away_nothing_is_stored_and_after_a_crash_nothing_is_missing() -> None:
    world = FakeWorld()
    table = Table()
    world.run(world.fake_log("fulfillment"), projection=table)
    world.publish("order", 0, *order_of(0, OrderStatus.MERCHANT_ACCEPTED))
    world.until_statuses("fulfillment", SHIPPED=1)
    table.away = True
    with capture_logs() as logs:
        world.turns(ENOUGH_TURNS)
        world.publish("order", 0, *order_of(3, OrderStatus.MERCHANT_ACCEPTED))
        world.turns(ENOUGH_TURNS)
    assert any(line["event"] == "waiting for the database" for line in logs)
    assert world.statuses("fulfillment") == {"SHIPPED": 1}
    assert table.rows == {}
    world.kill("fulfillment")
    table.away = False
    world.run(world.fake_log("fulfillment"), projection=table)
    world.until_statuses("fulfillment", SHIPPED=2)
    world.until(lambda: len(table.rows) == 2, "both rows")
    assert table.rows == {record.key.decode(): record.value for record in world.records("fulfillment") if record.key}


@pytest.mark.claim("pauses grow while the projection is away", section="failures", tried="found by `make chaos`")
def test_the_pauses_grow_while_the_projection_is_away_and_begin_anew_when_it_was_there() -> None:
    world = FakeWorld()
    table = Table()
    world.run(world.fake_log("fulfillment"), projection=table)
    for number in range(2):
        table.away = True
        with capture_logs() as logs:
            world.publish("order", 0, *order_of(3 * number, OrderStatus.MERCHANT_ACCEPTED))
            world.turns(30 * ENOUGH_TURNS)
        pauses = [line["seconds"] for line in logs if line["event"] == "waiting for the database"]
        assert pauses[:7] == [0.5, 1, 2, 4, 8, 8, 8]
        table.away = False
        world.until(lambda number=number: len(table.rows) == number + 1, "its row")  # type: ignore[misc]
