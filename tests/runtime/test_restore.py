"""The order of a restore's steps, and what it may not act upon. Each test breaks when its rule does."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from shop.contract.lifecycle import OrderStatus
from shop.runtime.checkpoint import Checkpoint, Position, parse
from shop.runtime.hanging import NOTHING, checksum
from shop.runtime.limits import Limits
from shop.runtime.log import TopicPartition
from tests.runtime.behaviour import order_of
from tests.runtime.fake_log import FakeLog
from tests.runtime.fake_world import FakeWorld
from tools.kit.samples import submitted
from tools.kit.world import PARTITIONS

AT_ONCE = Limits(transaction_interval=0.0)
ENOUGH_TURNS = 40
"""More than a restore and a decision need."""


@pytest.mark.claim(
    "the restore target is the high watermark: records of the output topic may be hidden by a foreign open "
    "transaction",
    section="restore",
    tried="broken",
)
def test_the_restore_target_is_the_high_watermark_because_records_hide_behind_a_foreign_transaction() -> None:
    world = FakeWorld()
    world.publish("checkout", 0, *submitted(0))
    abort = world.open_transaction("order", 0, b"somebody's")
    world.publish("order", 0, *order_of(0, OrderStatus.NEW))
    processor = world.start("order")
    world.turns(ENOUGH_TURNS)
    assert not processor.live, "the order's NEW is not read yet"
    assert world.statuses("order") == {}
    abort()
    world.until_statuses("order", MERCHANT_ACCEPTED=1)
    assert world.statuses("order") == {"NEW": 1, "MERCHANT_ACCEPTED": 1}


def submit_to_every_partition(world: FakeWorld) -> None:
    """And lets a poll give one record, so that inputs may be read before output records that lie beyond the restore
    target."""
    for number in range(PARTITIONS):
        world.publish("checkout", number, *submitted(number))
    world.fetch_size = 1


@pytest.mark.claim("the restore target is taken after the committed offsets", section="restore", tried="broken")
def test_the_restore_target_is_taken_after_the_committed_offsets() -> None:
    """The predecessor's last events reach the broker while the successor asks for the committed offsets: it may
    finish until they are there."""
    world = FakeWorld()
    submit_to_every_partition(world)
    asked: list[str] = []

    def predecessor_finishes(point: str) -> None:
        if point == "committed offsets" and not asked:
            asked.append(point)
            for number in range(PARTITIONS):
                world.publish("order", number, *order_of(number, OrderStatus.NEW))

    world.run(world.fake_log("order", at=predecessor_finishes), AT_ONCE)
    world.until_statuses("order", MERCHANT_ACCEPTED=3)
    assert world.statuses("order") == {"NEW": 3, "MERCHANT_ACCEPTED": 3}


@pytest.mark.claim(
    "a predecessor in the same slot is fenced before the restore targets are taken", section="restore", tried="broken"
)
def test_a_predecessor_in_the_same_slot_is_fenced_before_the_restore_targets_are_taken() -> None:
    """It goes on, with all that it has to do, when the successor knows the restore targets: what it publishes lies
    beyond."""
    world = FakeWorld()
    predecessor = world.run(world.fake_log("order"), AT_ONCE)
    world.until(lambda: predecessor.live, "the predecessor")
    world.kill("order")
    submit_to_every_partition(world)

    class WokenAfterTheMarks(FakeLog):
        def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
            targets = super().high_watermarks(partitions)
            world.fetch_size = 1000
            world.turn_of(predecessor)
            world.fetch_size = 1
            return targets

    world.run(world.fake_log("order", kind=WokenAfterTheMarks), AT_ONCE)
    world.until_statuses("order", MERCHANT_ACCEPTED=3)
    assert world.statuses("order") == {"NEW": 3, "MERCHANT_ACCEPTED": 3}
    assert predecessor.counts["restores"] == 1, "it must have tried"


@pytest.mark.claim("nothing is decided while the topics' partition counts differ", section="triggers", tried="broken")
def test_nothing_is_decided_while_the_topics_have_different_numbers_of_partitions() -> None:
    world = FakeWorld()
    world.add_partitions("fulfillment", 5)
    world.publish("checkout", 0, *submitted(0))
    with capture_logs() as logs:
        processor = world.start("order")
        world.turns(25 * ENOUGH_TURNS)
    assert not processor.live
    assert world.statuses("order") == {}
    waiting, *again = [line for line in logs if line["event"].startswith("waiting: the topics must")]
    assert 5 < len(again) < 12, "in 50 seconds: the pauses grow"
    assert waiting["partitions"] == {"order": 3, "checkout": 3, "fulfillment": 5}
    for topic in ("order", "checkout"):
        world.add_partitions(topic, 5)
    world.until_statuses("order", MERCHANT_ACCEPTED=1)


@pytest.mark.claim(
    "a partition number is acted upon only while all its topics are assigned", section="triggers", tried="broken"
)
def test_a_partition_number_is_acted_upon_only_while_all_its_topics_are_assigned() -> None:
    world = FakeWorld()
    missing = {TopicPartition("fulfillment", 1)}

    class HalfAssigned(FakeLog):
        def assignment(self) -> frozenset[TopicPartition]:
            return super().assignment() - missing

    for number in range(3):
        world.publish("checkout", number, *submitted(number))
    world.run(world.fake_log("order", kind=HalfAssigned))
    world.until_statuses("order", MERCHANT_ACCEPTED=2)
    world.turns(ENOUGH_TURNS)
    assert {record.partition for record in world.records("order")} == {0, 2}
    missing.clear()
    world.broker.groups["order"].generation += 1
    world.until_statuses("order", MERCHANT_ACCEPTED=3)
    assert world.statuses("order") == {"NEW": 3, "MERCHANT_ACCEPTED": 3}


@pytest.mark.claim("no input is read before the fold is complete", section="restore", tried="broken")
def test_reading_starts_at_the_committed_offsets_and_no_input_before_the_fold_is_complete() -> None:
    world = FakeWorld()
    world.publish("checkout", 0, *submitted(0))
    world.start("order", dispute_rate=1.0)
    world.until_statuses("order", CANCELLED=1)
    world.stop("order")
    started: list[Mapping[TopicPartition, int]] = []
    paused: set[TopicPartition] = set()

    class Watched(FakeLog):
        def start(self, offsets: Mapping[TopicPartition, int]) -> None:
            started.append(dict(offsets))
            super().start(offsets)

        def pause(self, partitions: Iterable[TopicPartition]) -> None:
            paused.update(partitions)
            super().pause(partitions)

    stored = dict(world.broker.groups["order"].offsets)
    processor = world.run(world.fake_log("order", kind=Watched))
    world.until(lambda: bool(started), "the restore")
    assert not processor.live
    assert started == [{topic_partition: committed.offset for topic_partition, committed in stored.items()}]
    assert paused == {topic_partition for topic_partition in stored if topic_partition.topic != "order"}


@pytest.mark.claim(
    "an offset committed for a topic that was deleted since is not used for its successor",
    section="offsets",
    tried="broken",
)
def test_an_offset_of_another_life_of_the_topic_is_not_used() -> None:
    world = FakeWorld()
    world.publish("checkout", 0, *submitted(0))
    world.publish("checkout", 0, *submitted(3))
    world.broker.join("order", "order-0")
    positions = {topic: Position("an earlier life", 1) for topic in ("checkout", "order", "fulfillment")}
    world.broker.groups["order"].offsets.update(Checkpoint(0, NOTHING, positions).committed())
    world.run(world.fake_log("order"), Limits(dedupe_window=0.0))
    world.until_statuses("order", MERCHANT_ACCEPTED=2)


@pytest.mark.claim(
    "a topic that is recreated during a restore is no loss to be accepted",
    section="restore",
    tried="found on the real broker",
)
def test_a_recreated_topic_while_its_offsets_are_asked_for_is_read_from_its_start() -> None:
    """Its committed offset lies beyond the new topic's end, which is no loss that a person has to accept."""
    world = FakeWorld()
    for number in range(0, 15, 3):
        world.publish("checkout", 0, *submitted(number))
    world.start("order", dispute_rate=1.0)
    world.until_statuses("order", CANCELLED=5)
    world.stop("order")
    recreated: list[str] = []

    def recreate(point: str) -> None:
        if point == "committed offsets" and not recreated:
            recreated.append(point)
            world.recreate("checkout")
            world.publish("checkout", 0, *submitted(30))

    world.run(world.fake_log("order", at=recreate), dispute_rate=1.0)
    world.until_statuses("order", CANCELLED=6)
    assert recreated


def hang(world: FakeWorld, slot: str, *events: tuple[bytes, bytes]) -> None:
    """The slot's transaction with these orders of partition 0 is over, but the broker has left out its end."""
    transaction = world.broker.begin(slot)
    for key, value in events:
        world.broker.append(TopicPartition("order", 0), key, value, transaction)
    transaction.hangs = True


def after_one_order() -> FakeWorld:
    """A world in which an order was accepted and its service has ended in good order."""
    world = FakeWorld()
    world.publish("checkout", 0, *submitted(0))
    world.start("order")
    world.until_statuses("order", MERCHANT_ACCEPTED=1)
    world.stop("order")
    return world


def test_records_of_its_own_that_hang_are_aborted_and_decided_again_where_their_offsets_are_not_committed() -> None:
    world = FakeWorld()
    world.publish("checkout", 0, *submitted(0))
    hang(world, "order-0", order_of(0, OrderStatus.NEW))
    world.start("order")
    world.until_statuses("order", MERCHANT_ACCEPTED=1)
    assert world.statuses("order") == {"NEW": 1, "MERCHANT_ACCEPTED": 1}
    world.stop("order")
    world.publish("checkout", 0, *submitted(3))
    hang(world, "order-0", order_of(3, OrderStatus.NEW))
    world.start("order")
    world.until_statuses("order", MERCHANT_ACCEPTED=2)
    assert world.statuses("order") == {"NEW": 2, "MERCHANT_ACCEPTED": 2}


def checkpoint_of(world: FakeWorld, number: int) -> Checkpoint:
    """What the group's committed offsets of a partition number carry."""
    offsets = world.broker.groups["order"].offsets
    (metadata,) = {one.metadata for topic_partition, one in offsets.items() if topic_partition.partition == number}
    checkpoint = parse(metadata)
    assert checkpoint is not None
    return checkpoint


@pytest.mark.claim(
    "a hanging transaction is left alone where its offsets are committed", section="transactions", tried="broken"
)
def test_records_that_hang_are_left_alone_where_their_offsets_are_committed() -> None:
    world = after_one_order()
    hanging = order_of(3, OrderStatus.NEW)
    hang(world, "order-0", hanging)
    theirs = replace(checkpoint_of(world, 0), published=checksum(hanging[1]))
    world.broker.groups["order"].offsets.update(theirs.committed())
    processor = world.start("order")
    world.turns(25 * ENOUGH_TURNS)
    assert not processor.live


def test_what_somebody_else_left_hanging_is_not_ended() -> None:
    world = FakeWorld()
    hang(world, "order-1", order_of(0, OrderStatus.NEW))
    processor = world.start("order")
    world.turns(25 * ENOUGH_TURNS)
    assert not processor.live


@pytest.mark.claim(
    "the checksum of the last published event is committed with the offsets, and kept when only offsets are "
    "committed",
    section="offsets",
    tried="broken",
)
def test_the_checksum_of_the_last_event_is_committed_with_its_offsets_and_kept_when_only_offsets_are() -> None:
    world = after_one_order()
    last = checksum(world.records("order")[-1].value or b"")

    def stored() -> list[str]:
        return [checkpoint_of(world, number).published for number in range(PARTITIONS)]

    assert stored() == [last, NOTHING, NOTHING]
    processor = world.start("order")
    world.publish("checkout", 0, b"key", b"no event, so that only the offset moves on")
    world.until(lambda: processor.counts["transactions"] >= 1, "the offset to be stored")
    assert stored() == [last, NOTHING, NOTHING]
