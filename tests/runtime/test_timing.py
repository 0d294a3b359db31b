"""Delays run from the trigger's time, whatever restarts meanwhile and whatever the clocks say."""

from collections import Counter
from datetime import timedelta

import pytest

from shop.contract.events import parse, serialize
from shop.contract.ids import order_id_of
from shop.contract.lifecycle import OrderStatus
from shop.runtime.assignment import AssignmentState
from shop.runtime.checkpoint import Start
from shop.runtime.clock import timestamp
from shop.runtime.entity import Entity, Trigger
from shop.runtime.limits import Limits
from shop.runtime.log import CommittedTransaction, Offsets
from shop.runtime.partition import PartitionState
from shop.runtime.refusals import Refusals
from tests.runtime.behaviour import order_of
from tests.runtime.fake_log import FakeLog
from tests.runtime.fake_world import TURN_SECONDS, FakeWorld
from tools.kit.samples import checkout, submitted
from tools.kit.world import rules_of

HOUR = 3600.0
SLACK = 0.5
"""Seconds that a transaction's interval and the turns of the world may add to a delay."""


def accepted(world: FakeWorld, ahead: float = 0.0) -> tuple[bytes, bytes]:
    """A MERCHANT_ACCEPTED of now by a clock that is ``ahead`` seconds fast."""
    key, value = order_of(1, OrderStatus.MERCHANT_ACCEPTED)
    order = parse("order", value).model_copy(update={"updated_at": timestamp(world.clock.unix() + ahead)})
    return key, serialize(order)


def shipping_seconds() -> float:
    transition = rules_of("fulfillment", speed=1.0).transition(
        parse("order", order_of(1, OrderStatus.MERCHANT_ACCEPTED)[1])
    )
    assert transition is not None
    return transition.delay


def shipped_after(world: FakeWorld, began: float) -> float:
    world.until_statuses("fulfillment", SHIPPED=1)
    return world.clock.now - began


@pytest.mark.claim("a restart re-arms a delay where it stood", section="triggers", tried="broken in 2 ways")
@pytest.mark.parametrize("ahead", [0.0, HOUR], ids=["clock right", "clock fast"])
def test_a_restart_re_arms_a_delay_where_it_stood(ahead: float) -> None:
    world = FakeWorld()
    delay = shipping_seconds()
    assert delay > 2.0, "or this test tells nothing"
    world.run(world.fake_log("fulfillment"), speed=1.0)
    world.turns(5)
    began = world.clock.now
    world.publish("order", 0, *accepted(world, ahead))
    world.turns(int(0.8 * delay / TURN_SECONDS))
    assert world.statuses("fulfillment") == {}
    world.kill("fulfillment")
    world.run(world.fake_log("fulfillment"), speed=1.0)
    assert delay <= shipped_after(world, began) <= delay + SLACK


def test_the_delay_of_an_output_event_is_re_armed_where_it_stood() -> None:
    world = FakeWorld()
    transition = rules_of("order", speed=0.1).transition(parse("order", order_of(1, OrderStatus.NEW)[1]))
    assert transition is not None
    delay = transition.delay
    assert delay > 4.0, "or this test tells nothing"
    world.run(world.fake_log("order"), speed=0.1)
    world.publish("checkout", 0, *submitted(1))
    world.until_statuses("order", NEW=1)
    began = world.clock.now
    world.turns(int(0.8 * delay / TURN_SECONDS))
    world.kill("order")
    world.run(world.fake_log("order"), speed=0.1)
    world.until_statuses("order", MERCHANT_ACCEPTED=1)
    assert delay - SLACK <= world.clock.now - began <= delay + SLACK


@pytest.mark.claim("a clock that is ahead delays nothing", section="triggers", tried="broken")
@pytest.mark.parametrize("broker", [0.0, HOUR], ids=["broker right", "broker fast too"])
def test_a_clock_in_the_future_holds_nothing_up(broker: float) -> None:
    world = FakeWorld()
    world.run(world.fake_log("fulfillment"), speed=1.0)
    world.turns(5)
    began = world.clock.now
    world.broker.clock_error = broker
    world.publish("order", 0, *accepted(world, ahead=HOUR))
    assert shipped_after(world, began) <= shipping_seconds() + SLACK


def test_what_was_due_while_the_service_was_away_happens_at_once() -> None:
    world = FakeWorld()
    world.publish("order", 0, *accepted(world))
    world.clock.now += HOUR
    world.run(world.fake_log("fulfillment"), speed=1.0)
    assert shipped_after(world, world.clock.now) <= SLACK


def test_without_updated_at_the_time_of_the_broker_stands_in() -> None:
    world = FakeWorld()
    world.run(world.fake_log("fulfillment"), speed=1.0)
    world.turns(5)
    key, value = accepted(world)
    order = parse("order", value).model_copy(update={"updated_at": None})
    began = world.clock.now
    world.publish("order", 0, key, serialize(order))
    assert shipping_seconds() <= shipped_after(world, began) <= shipping_seconds() + SLACK


class PromptLog(FakeLog):
    """Its broker commits at once, however far the clock moves until the next turn."""

    _done: CommittedTransaction | None = None

    def commit(self, offsets: Offsets) -> None:
        super().commit(offsets)
        self._done = super().await_commit()

    def await_commit(self) -> CommittedTransaction | None:
        done, self._done = self._done, None
        return done


@pytest.mark.claim(
    "the dedupe window starts at the oldest trigger that can be read again",
    section="triggers",
    tried="broken in 2 ways",
)
def test_the_dedupe_window_counts_from_the_oldest_trigger_that_can_be_read_again() -> None:
    """The service works off a backlog so slowly that its own events are hours apart, while the duplicate of a trigger
    lies seconds behind it in the log: by the newest output event it would be forgotten."""
    world = FakeWorld()
    limits = Limits(dedupe_window=60.0, offsets_interval=0.0, transaction_interval=0.0)
    processor = world.run(world.fake_log("order", kind=PromptLog), limits, dispute_rate=1.0)
    world.until(lambda: processor.live, "it to be live")
    world.fetch_size = 1
    for number in (*range(0, 60, 3), 0):
        world.publish("checkout", 0, *submitted(number))

    def slow_turn() -> bool:
        world.clock.now += 120.0
        return processor.counts["read"] >= 21 + 3 * 20 and processor.pending == 0

    world.until(slow_turn, "everything to be read")
    first = order_id_of(checkout(0).checkout_id)
    assert [str(one.status) for one in world.events("order") if one.key == first] == ["NEW", "DISPUTED", "CANCELLED"]


def test_a_time_in_the_past_only_shortens_a_delay() -> None:
    world = FakeWorld()
    world.run(world.fake_log("fulfillment"), speed=1.0)
    world.turns(5)
    began = world.clock.now
    past = parse("order", order_of(1, OrderStatus.MERCHANT_ACCEPTED)[1])
    past = past.model_copy(update={"updated_at": timestamp(world.clock.unix()) - timedelta(hours=1)})
    world.publish("order", 0, past.key.encode(), serialize(past))
    assert shipped_after(world, began) <= SLACK


def empty_partition(assignment: AssignmentState) -> PartitionState:
    empty = {"order": 0, "checkout": 0, "fulfillment": 0}
    return PartitionState(
        0, rules_of("order"), Limits(), Start(empty), empty, assignment.schedule, Refusals(Counter())
    )


def test_the_longest_overdue_trigger_is_next_whether_it_had_to_wait_or_not() -> None:
    assignment = AssignmentState("order", ("checkout", "fulfillment"))
    partition = empty_partition(assignment)
    for due, scheduled_at in ((7.0, 1.0), (3.0, 1.0), (2.0, 2.0), (5.0, 5.0), (8.0, 8.0), (99.0, 8.0)):
        assignment.schedule(partition, Trigger(Entity("x"), None, OrderStatus.NEW, due), scheduled_at)
    taken = []
    while (next_one := assignment.due(elapsed=8.0)) is not None:
        assert assignment.next_due is not None
        taken.append(next_one[1].due)
    assert taken == [2.0, 3.0, 5.0, 7.0, 8.0]
    assert assignment.next_due == 99.0


def test_the_loop_does_not_wait_while_a_trigger_is_due() -> None:
    assignment = AssignmentState("order", ())
    partition = empty_partition(assignment)
    assignment.schedule(partition, Trigger(Entity("x"), None, OrderStatus.NEW, due=9.0), elapsed=1.0)
    assignment.schedule(partition, Trigger(Entity("x"), None, OrderStatus.NEW, due=1.0), elapsed=1.0)
    assert assignment.next_due is not None
    assert assignment.next_due <= 1.0
