"""Each rule is broken once, and the auditor names it, at its place, and nothing else."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest

from analytics_service.audit.messages import Letter
from shop.contract.ids import time_ordered_id
from shop.contract.lifecycle import CheckoutStatus, FulfillmentStatus, OrderStatus
from tests.audit.world import CANCELLED, CHECKED_OUT, COMPLETED, DROPPED_OUT, World

ACCEPTED = COMPLETED[:6]
SHIPPED = COMPLETED[:8]


@pytest.fixture
def world() -> World:
    """A clean shop with everything that may happen in it."""
    world = World()
    for number in range(20, 40):
        world.live(number, *(COMPLETED, CANCELLED, DROPPED_OUT, COMPLETED)[number % 4])
    return world


def test_a_clean_shop_is_clean(world: World) -> None:
    report = world.audit()
    assert report.clean, str(report)
    assert report.messages == sum(map(len, world.log.values()))


def test_an_empty_shop_is_clean() -> None:
    assert World().broken() == {}


# ---- messages and rows ---------------------------------------------------------------------------------------------


def test_a_missing_row(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[5]
    del world.rows[topic_partition]
    assert world.broken() == {"stored": [topic_partition]}


def test_a_row_that_analytics_has_not_come_to_is_lag_unless_all_must_be_settled(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[-1]
    del world.rows[topic_partition]
    world.unstored[topic_partition[:2]] = topic_partition[2]
    world.settled = False
    report = world.audit()
    assert report.clean
    assert report.notes == ["analytics has not come to 1 messages yet"]
    world.settled = True
    assert world.broken() == {"stored": [topic_partition]}


def test_a_row_that_was_given_up_by_a_person_is_not_missing(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[5]
    del world.rows[topic_partition]
    world.lost[topic_partition[:2]] = [(topic_partition[2], topic_partition[2] + 1)]
    assert world.broken() == {}


@pytest.mark.parametrize("last", [True, False])
def test_a_row_without_a_message(world: World, last: bool) -> None:
    row = next(iter(world.rows.values()))
    offset = world.log["order", 1][-1].offset + 1 if last else 3  # 3 is a transaction's marker
    world.rows["order", 1, offset] = row
    assert world.broken() == {"stored": [("order", 1, offset)]}


def test_a_changed_field(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[5]
    row = world.rows[topic_partition]
    world.rows[topic_partition] = row._replace(value=row.value.replace("39.8", "39.81"))
    assert world.broken() == {"fields": [topic_partition]}
    assert "total_amount is 39.8, stored 39.81" in str(world.audit())


def test_a_changed_time_stamp(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[5]
    world.rows[topic_partition] = world.rows[topic_partition]._replace(time=1)
    assert world.broken() == {"fields": [topic_partition]}


def test_a_row_that_refers_to_nothing(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[5]
    world.rows[topic_partition] = world.rows[topic_partition]._replace(value='{"order_id": null}')
    assert world.broken() == {"fields": [topic_partition]}


def test_an_invalid_message_belongs_into_dead_letter(world: World) -> None:
    topic_partition = world.append("order", 0, b"key", b"no JSON")
    assert world.broken() == {"stored": [topic_partition]}
    time = world.log["order", 0][-1].time
    world.letters[topic_partition] = Letter(time, b"key", b"no JSON")
    assert world.broken() == {}
    world.letters[topic_partition] = Letter(time, b"key", b"no json")
    assert world.broken() == {"fields": [topic_partition]}


def test_an_invalid_message_has_no_row(world: World) -> None:
    topic_partition = world.append("order", 0, b"key", None)
    world.rows[topic_partition] = next(iter(world.rows.values()))
    assert world.broken() == {"stored": [topic_partition]}


def test_a_redriven_dead_letter_has_both(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[5]
    message = next(one for one in world.log[topic_partition[:2]] if one.offset == topic_partition[2])
    world.letters[topic_partition] = Letter(message.time, message.key, message.value)
    assert world.broken() == {}
    del world.rows[topic_partition]
    assert world.broken() == {}


def test_a_wrong_key(world: World) -> None:
    world.live(1, *COMPLETED[:-1])
    topic_partition = world.publish(world.order(1, OrderStatus.COMPLETED), 1, key=b"mine")
    assert world.broken() == {"key": [topic_partition]}


# ---- lives ---------------------------------------------------------------------------------------------------------


def test_an_event_in_another_partition(world: World) -> None:
    world.live(1, *COMPLETED[:-1])
    topic_partitions = world.live(1, COMPLETED[-1], partition=2)
    assert world.broken() == {"partition": topic_partitions}


@pytest.mark.parametrize("status", [*CHECKED_OUT[1:], OrderStatus.NEW, *FulfillmentStatus])
def test_a_repeated_event(world: World, status: CheckoutStatus) -> None:
    world.live(1, *COMPLETED)
    assert world.broken() == {}
    topic_partitions = world.live(1, status)
    assert world.broken() == {"once": topic_partitions}


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.DISPUTED])
def test_an_illegal_event(world: World, status: OrderStatus) -> None:
    world.live(1, *COMPLETED)
    topic_partitions = world.live(1, status)
    assert world.broken() == {"legal": topic_partitions}


def test_an_illegal_event_changes_nothing_for_those_after_it(world: World) -> None:
    world.live(1, *ACCEPTED)
    topic_partitions = world.live(1, OrderStatus.COMPLETED)
    world.live(1, *COMPLETED[6:])
    assert world.broken() == {"legal": topic_partitions}


def test_a_skipped_status(world: World) -> None:
    topic_partitions = world.live(1, CheckoutStatus.CREATED, CheckoutStatus.PAYMENT_METHOD_SUBMITTED)
    assert world.broken() == {"legal": topic_partitions[1:]}


# ---- orders and fulfillments ---------------------------------------------------------------------------------------


def test_a_submitted_checkout_without_an_order(world: World) -> None:
    topic_partition = world.live(1, *CHECKED_OUT)[-1]
    assert world.broken() == {"order": [topic_partition]}
    world.settled = False
    assert world.broken() == {}
    world.wait(61)
    assert world.broken() == {"order": [topic_partition]}
    assert "order NEW has been pending for 61 s" in str(world.audit())


def test_an_order_without_a_submitted_checkout(world: World) -> None:
    topic_partitions = world.live(1, *CHECKED_OUT[:3], *COMPLETED[4:])
    assert world.broken() == {"order": [topic_partitions[3]]}


def test_an_order_without_any_checkout(world: World) -> None:
    topic_partitions = world.live(1, *COMPLETED[4:])
    assert world.broken() == {"order": [topic_partitions[0]]}


def test_an_order_whose_checkout_may_lie_beyond_what_is_read(world: World) -> None:
    topic_partition = world.live(1, OrderStatus.NEW)[0]
    world.settled = False
    world.high_watermarks[topic_partition[:2]] = topic_partition[2]
    assert world.broken() == {}


def test_a_second_order_under_another_id(world: World) -> None:
    world.live(1, *COMPLETED)
    other = world.order(1, OrderStatus.NEW, order_id=time_ordered_id(1_800_000_000_000, 7))
    topic_partition = world.publish(other, 1)
    world.publish(other.model_copy(update={"status": OrderStatus.DISPUTED}), 1)
    world.publish(other.model_copy(update={"status": OrderStatus.CANCELLED}), 1)
    assert world.broken() == {"order": [topic_partition]}


def test_an_order_that_differs_from_its_checkout(world: World) -> None:
    world.live(1, *CHECKED_OUT)
    statuses = (OrderStatus.NEW, OrderStatus.DISPUTED, OrderStatus.CANCELLED)
    changed = [world.order(1, status, total_amount=Decimal("1.00")) for status in statuses]
    topic_partitions = [world.publish(order, 1) for order in changed]
    assert world.broken() == {"content": topic_partitions}


def test_an_accepted_order_without_a_fulfillment(world: World) -> None:
    topic_partition = world.live(1, *ACCEPTED)[-1]
    assert world.broken() == {"fulfillment": [topic_partition]}


def test_a_fulfillment_of_an_order_that_was_not_accepted(world: World) -> None:
    world.live(1, *CANCELLED)
    topic_partitions = world.live(1, FulfillmentStatus.SHIPPED)
    assert world.broken() == {"fulfillment": topic_partitions}


def test_a_fulfillment_under_another_id(world: World) -> None:
    world.live(1, *ACCEPTED)
    other = {"fulfillment_id": time_ordered_id(1_800_000_000_000, 7)}
    topic_partition = world.publish(world.fulfillment(1, FulfillmentStatus.SHIPPED, **other), 1)
    world.live(1, OrderStatus.SHIPPED)
    world.publish(world.fulfillment(1, FulfillmentStatus.DELIVERED, **other), 1)
    world.live(1, OrderStatus.COMPLETED)
    assert world.broken() == {"fulfillment": [topic_partition]}


def test_an_effect_without_its_cause(world: World) -> None:
    world.live(1, *SHIPPED)
    topic_partition = world.live(1, OrderStatus.COMPLETED)[0]
    assert "cause" in world.broken()
    assert world.broken()["cause"] == [topic_partition]


def test_an_effect_before_its_cause(world: World) -> None:
    world.live(1, *SHIPPED)
    topic_partition = world.live(1, OrderStatus.COMPLETED)[0]
    world.wait(5)
    world.live(1, FulfillmentStatus.DELIVERED)
    assert world.broken() == {"cause": [topic_partition]}


@pytest.mark.parametrize("seconds", [5, 20, 3600, 86_400])
def test_a_clock_that_was_set_back_between_cause_and_effect_breaks_no_rule(world: World, seconds: float) -> None:
    """What came first is known by no time then. Afterwards it is again. A step that is short is seen only where a
    partition has messages from right before it and right after it, whichever partition that is."""
    world.live(1, *ACCEPTED)
    world.live(2, *SHIPPED)
    world.live(3, *DROPPED_OUT)
    world.wait(-seconds - 1)
    world.live(6, *DROPPED_OUT)
    world.live(1, *COMPLETED[len(ACCEPTED) :])
    world.live(2, *COMPLETED[len(SHIPPED) :])
    world.wait(2 * seconds)
    report = world.audit()
    assert report.clean, report
    assert any(re.search("the broker's clock was set back by .* s", note) for note in report.notes)
    world.live(4, *SHIPPED)
    topic_partition = world.live(4, OrderStatus.COMPLETED)[0]
    world.wait(5)
    world.live(4, FulfillmentStatus.DELIVERED)
    assert world.broken() == {"cause": [topic_partition]}


def test_a_clock_that_was_set_forward_and_back_breaks_no_rule(world: World) -> None:
    world.live(1, *ACCEPTED)
    world.wait(3600)
    world.live(1, FulfillmentStatus.SHIPPED, OrderStatus.SHIPPED)
    world.wait(-3600)
    world.live(1, *COMPLETED[len(SHIPPED) :])
    assert world.audit().clean


def test_services_act_on_illegal_messages_too(world: World) -> None:
    world.live(1, *CANCELLED)
    topic_partitions = world.live(1, OrderStatus.MERCHANT_ACCEPTED)
    world.live(1, FulfillmentStatus.SHIPPED)
    assert world.broken() == {"legal": topic_partitions}


# ---- fulfillment's table -------------------------------------------------------------------------------------------


def test_a_fulfillment_without_a_row(world: World) -> None:
    topic_partitions = world.live(1, *COMPLETED)
    del world.table[world.order(1, OrderStatus.NEW).order_id]
    assert world.broken() == {"projection": [topic_partitions[8]]}


def test_a_row_without_a_fulfillment(world: World) -> None:
    world.project(world.fulfillment(1, FulfillmentStatus.SHIPPED), world.now)
    assert world.broken() == {"projection": [("fulfillment", None, None)]}


@pytest.mark.parametrize("change", ["status", "updated_at", "created_at", "fulfillment_id"])
def test_a_row_that_differs(world: World, change: str) -> None:
    topic_partitions = world.live(1, *COMPLETED)
    order_id = world.order(1, OrderStatus.NEW).order_id
    row = world.table[order_id]
    later = row.updated_at + timedelta(microseconds=1)
    world.table[order_id] = {
        "status": row._replace(status="SHIPPED"),
        "updated_at": row._replace(updated_at=later),
        "created_at": row._replace(created_at=later),
        "fulfillment_id": row._replace(fulfillment_id=order_id),
    }[change]
    assert world.broken() == {"projection": [topic_partitions[8]]}


@pytest.mark.parametrize("row_status", ["SHIPPED", "DELIVERED"])
def test_a_row_may_lag_or_lead_for_a_while(world: World, row_status: str) -> None:
    world.settled = False
    topic_partitions = world.live(1, *(COMPLETED if row_status == "SHIPPED" else SHIPPED))
    order_id = world.order(1, OrderStatus.NEW).order_id
    world.table[order_id] = world.table[order_id]._replace(status=row_status, updated_at=world.time())
    assert world.broken() == {}
    world.wait(100)
    assert world.broken()["projection"] == [topic_partitions[8 if row_status == "SHIPPED" else 6]]


# ---- in flight -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "since", "step"),
    [
        (5, 4, "order MERCHANT_ACCEPTED or DISPUTED"),
        (7, 6, "order SHIPPED"),
        (8, 7, "fulfillment DELIVERED"),
        (9, 8, "order COMPLETED"),
    ],
)
def test_an_entity_that_waits(world: World, length: int, since: int, step: str) -> None:
    topic_partition = world.live(1, *COMPLETED[:length])[since]
    assert world.broken() == {"settled": [topic_partition]}
    world.wait(61)
    assert world.broken() == {"stuck": [topic_partition]}
    world.settled = False
    assert world.broken() == {"stuck": [topic_partition]}
    assert f"{step} has been pending for 61 s" in str(world.audit())
    world.stuck_after = 62_000
    assert world.broken() == {}


def test_a_disputed_order_that_is_not_cancelled(world: World) -> None:
    assert world.broken() == {}
    topic_partition = world.live(1, *CANCELLED[:-1])[-1]
    assert world.broken() == {"settled": [topic_partition]}


def test_what_an_open_transaction_hides_is_not_settled(world: World) -> None:
    topic_partition = world.live(1, *COMPLETED)[-1]
    world.ends[topic_partition[:2]] = topic_partition[2]
    world.high_watermarks[topic_partition[:2]] = topic_partition[2] + 1
    world.settled = False
    assert world.broken() == {}
    assert any("an open transaction hides" in note for note in world.audit().notes)
    world.settled = True
    assert world.broken()["settled"][0] == topic_partition


# ---- what the topics hold ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["checkout", "order", "fulfillment"])
def test_families_that_began_before_the_range_are_forgotten(world: World, topic: str) -> None:
    world.live(1, *COMPLETED[:-1])
    first = next(topic_partition for topic_partition in world.live(4, *COMPLETED) if topic_partition[0] == topic)
    world.live(7, OrderStatus.NEW)
    topic_partition = world.live(10, *COMPLETED[:-1])[-1]
    world.starts[topic, 1] = first[2]
    # The order without a checkout, 7, is forgotten too: its time-ordered id tells that it began before.
    assert world.broken() == {"settled": [topic_partition]}
    assert any("are forgotten" in note for note in world.audit().notes)


@pytest.mark.parametrize("topic", ["checkout", "order", "fulfillment"])
def test_families_whose_history_lay_in_an_earlier_life_of_a_topic_are_forgotten(world: World, topic: str) -> None:
    world.live(1, *COMPLETED[:-1])
    for number in range(world.partitions):
        world.log[topic, number].clear()
    world.rows = {topic_partition: row for topic_partition, row in world.rows.items() if topic_partition[0] != topic}
    assert not world.audit().clean
    world.recreated = {topic: world.now}
    assert world.broken() == {}
    late = world.live(10, *COMPLETED[:-1])[-1]
    assert world.broken() == {"settled": [late]}
