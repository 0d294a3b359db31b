"""Aimed at the rules by which offsets are stored: random faults alone passed versions that these break."""

from collections.abc import Callable

import pytest

from shop.contract.events import parse
from shop.contract.lifecycle import FulfillmentStatus, OrderStatus
from shop.runtime.checkpoint import parse as parse_checkpoint
from shop.runtime.limits import Limits
from shop.runtime.log import TopicPartition
from shop.runtime.loop import Processor
from tests.runtime.behaviour import order_of
from tests.runtime.fake_log import Crash, FakeLog
from tests.runtime.fake_world import FakeWorld
from tools.kit.samples import submitted
from tools.kit.world import PARTITIONS, rules_of

NO_WINDOW = Limits(dedupe_window=0.0, offsets_interval=0.1)
NOTHING_HELD = Limits(dedupe_window=0.0, hold_limit=0, offsets_interval=0.1)


def shipping_seconds(number: int) -> float:
    rules = rules_of("fulfillment", speed=1.0)
    transition = rules.transition(parse("order", order_of(number, OrderStatus.MERCHANT_ACCEPTED)[1]))
    assert transition is not None
    return transition.delay


class SlowWorld(FakeWorld):
    """Shipping takes its real time, so that one trigger waits while others are done."""

    def start_fulfillment(self, limits: Limits = NO_WINDOW) -> Processor:
        rules = rules_of("fulfillment", speed=1.0)
        log = FakeLog(self.broker, "fulfillment", "0", "fulfillment", rules.inputs)
        self.services["fulfillment", "0"] = Processor(log, rules, self.clock, limits)
        return self.services["fulfillment", "0"]


@pytest.mark.claim(
    "the committed offset of the output topic covers what proves a trigger done that can be read again (the floor), "
    "also after a restore",
    section="offsets",
    tried="broken in 3 ways",
)
@pytest.mark.parametrize("read_again", [False, True], ids=["inputs not read yet", "inputs read again"])
def test_what_proves_a_trigger_done_is_read_again_as_long_as_the_trigger_can_be(read_again: bool) -> None:
    """A slow trigger holds the input's offset, a quick one behind it is done and its entity closed. Two restores
    later the quick trigger is read again: the output offset must still lie below the events that prove it done. The
    broker's clock is set back meanwhile, so that time stamps cannot tell."""
    world = SlowWorld()
    slow = max(range(200), key=shipping_seconds)
    quick = min(range(200), key=shipping_seconds)
    processor = world.start_fulfillment()
    world.publish("order", 0, *order_of(slow, OrderStatus.MERCHANT_ACCEPTED))
    world.broker.clock_error = -3600.0
    world.publish("order", 0, *order_of(quick, OrderStatus.MERCHANT_ACCEPTED))
    world.until_statuses("fulfillment", SHIPPED=1)
    world.publish("order", 0, *order_of(quick, OrderStatus.SHIPPED))
    # The clock of this world does the waiting; delivery may take longer than the slow one's shipping.
    world.until(lambda: processor.counts["read"] >= 4, "the order's SHIPPED to be read")
    world.until(lambda: world.statuses("fulfillment")[FulfillmentStatus.DELIVERED] == 1, "the quick one's delivery")
    pending = processor.pending
    world.kill("fulfillment")
    assert pending == 1, "the slow one must still be pending for this test to mean anything"
    again = world.start_fulfillment(NOTHING_HELD)
    world.until(lambda: again.live and again.counts["transactions"] >= 1, "the offsets to be stored")
    if read_again:
        world.until(lambda: again.counts["read"] >= 5, "the inputs to be read again")
        world.until(lambda: again.counts["transactions"] >= 2 or again.pending == 1, "the offsets to be stored again")
        for _ in range(4):
            world.turn()
    world.kill("fulfillment")
    world.start_fulfillment()
    world.until_statuses("fulfillment", SHIPPED=2)
    assert world.statuses("fulfillment") == {"SHIPPED": 2, "DELIVERED": 1}


@pytest.mark.claim(
    "at most as many closed entities are remembered as the dedupe limit allows",
    section="triggers",
    tried="broken in 2 ways",
)
def test_closed_entities_are_remembered_for_the_dedupe_limit_at_most() -> None:
    """However long the dedupe window, a restore reads a bounded number of closed entities again: the offset stored
    for the output topic follows its end."""
    world = FakeWorld()
    world.start("order", dispute_rate=1.0, limits=Limits(dedupe_limit=20, offsets_interval=0.1))
    for number in range(0, 60, 3):
        world.publish("checkout", 0, *submitted(number))
    world.until_statuses("order", CANCELLED=20)
    world.publish("checkout", 0, *submitted(57))
    world.turns(10)
    assert world.statuses("order") == {"NEW": 20, "DISPUTED": 20, "CANCELLED": 20}, "a duplicate within the limit"
    world.stop("order")
    end = world.broker.groups["order"].offsets[TopicPartition("order", 0)].offset
    records = [record.offset for record in world.records("order")]
    assert sum(offset >= end for offset in records) in range(15, 22)


def crash_at(point: str) -> Callable[[str], None]:
    def at(name: str) -> None:
        if name == point:
            raise Crash

    return at


def turn_until_it_ends(world: FakeWorld, processor: Processor) -> None:
    for _ in range(100):
        world.clock.now += 0.1
        processor.step()


def test_a_successor_does_not_repeat_what_its_predecessor_commits_while_it_restores() -> None:
    """The predecessor, in another slot, is stopped between send_offsets and commit and finishes while the
    successor asks for the committed offsets."""
    world = FakeWorld()
    rules = rules_of("order")
    predecessor = FakeLog(world.broker, "order", "0", "order", rules.inputs, crash_at("after offsets before commit"))
    processor = Processor(predecessor, rules, world.clock, Limits())
    world.publish("checkout", 0, *submitted(0))
    with pytest.raises(Crash):
        turn_until_it_ends(world, processor)
    transaction = world.broker.transactions[-1]
    assert transaction.open
    world.expire("order", "0")

    def predecessor_wakes(point: str) -> None:
        if point == "committed offsets" and transaction.open:
            world.broker.end(transaction, commit=True)

    successor = FakeLog(world.broker, "order", "1", "order", rules.inputs, predecessor_wakes)
    world.services["order", "1"] = Processor(successor, rules, world.clock, Limits())
    world.until_statuses("order", MERCHANT_ACCEPTED=1)
    assert world.statuses("order") == {"NEW": 1, "MERCHANT_ACCEPTED": 1}


@pytest.mark.claim("each committed offset carries its checkpoint", section="offsets", tried="broken")
def test_every_committed_offset_carries_all_offsets_of_its_partition_number_and_the_ids_of_their_topics() -> None:
    world = FakeWorld()
    world.start("order", dispute_rate=1.0)
    world.publish("checkout", 0, *submitted(0))
    world.until_statuses("order", CANCELLED=1)
    world.stop("order")
    stored = world.broker.groups["order"].offsets
    assert {topic_partition.topic for topic_partition in stored} == {"checkout", "order", "fulfillment"}
    for number in range(PARTITIONS):
        offsets = {
            topic_partition.topic: one.offset
            for topic_partition, one in stored.items()
            if topic_partition.partition == number
        }
        (metadata,) = {one.metadata for topic_partition, one in stored.items() if topic_partition.partition == number}
        checkpoint = parse_checkpoint(metadata)
        assert checkpoint is not None
        assert checkpoint.partition == number
        assert checkpoint.positions == {topic: (f"{topic}-1", offset) for topic, offset in offsets.items()}
