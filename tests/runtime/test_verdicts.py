"""What a trigger is worth when it comes too early, twice, or never."""

import pytest
from structlog.testing import capture_logs

from shop.contract.ids import order_id_of
from shop.contract.lifecycle import FulfillmentStatus, OrderStatus
from shop.runtime.limits import Limits
from tests.runtime.behaviour import fulfillment_of, order_of
from tests.runtime.fake_world import FakeWorld
from tools.kit.samples import checkout, submitted

ENOUGH_TURNS = 40


@pytest.mark.claim(
    "a doubtful trigger waits until the output partition is read to where it ends now",
    section="triggers",
    tried="broken in 2 ways",
)
def test_a_trigger_whose_entity_may_lie_in_unread_output_records_waits_for_the_end_of_the_output_partition() -> None:
    """Somebody else published the order; our output topic is read later than the fulfillment that ships it."""
    world = FakeWorld()
    processor = world.run(world.fake_log("order"), speed=0.01)
    world.until(lambda: processor.live, "it to be live")
    world.fetch_size = 1
    for number in range(3, 30, 3):
        world.publish("order", 0, *order_of(number, OrderStatus.NEW))
    world.publish("order", 0, *order_of(0, OrderStatus.NEW))
    world.publish("order", 0, *order_of(0, OrderStatus.MERCHANT_ACCEPTED))
    world.publish("fulfillment", 0, *fulfillment_of(0, FulfillmentStatus.SHIPPED))
    with capture_logs() as logs:
        world.until_statuses("order", SHIPPED=1)
    assert [line for line in logs if "ignored" in line["event"]] == []
    mine = order_id_of(checkout(0).checkout_id)
    assert [str(one.status) for one in world.events("order") if one.key == mine] == [
        "NEW",
        "MERCHANT_ACCEPTED",
        "SHIPPED",
    ]


@pytest.mark.claim("a trigger that is done is closed silently", section="triggers", tried="broken")
def test_a_trigger_that_is_done_is_closed_without_a_word() -> None:
    world = FakeWorld()
    world.start("order")
    world.start("fulfillment")
    world.publish("checkout", 0, *submitted(0))
    world.until_statuses("order", COMPLETED=1)
    with capture_logs() as logs:
        for _ in range(2):
            world.publish("checkout", 0, *submitted(0))
            world.publish("fulfillment", 0, *fulfillment_of(0, FulfillmentStatus.SHIPPED))
            world.publish("fulfillment", 0, *fulfillment_of(0, FulfillmentStatus.DELIVERED))
            world.publish("order", 0, *order_of(0, OrderStatus.MERCHANT_ACCEPTED))
        world.turns(ENOUGH_TURNS)
    assert [line for line in logs if line["log_level"] in {"warning", "error"}] == []
    assert all(processor.pending == 0 for processor in world.services.values())
    # The MERCHANT_ACCEPTED was published by the test itself.
    assert world.statuses("order") == {"NEW": 1, "MERCHANT_ACCEPTED": 3, "SHIPPED": 1, "COMPLETED": 1}
    assert world.statuses("fulfillment") == {"SHIPPED": 3, "DELIVERED": 3}


def test_triggers_that_are_read_again_after_a_crash_are_closed_without_a_word() -> None:
    """Shipping of one order is slow and holds the offset back; what lies behind it is done and read again."""
    world = FakeWorld()
    limits = Limits(offsets_interval=0.1)
    world.run(world.fake_log("fulfillment"), limits, speed=1.0)
    for number in range(0, 30, 3):
        world.publish("order", 0, *order_of(number, OrderStatus.MERCHANT_ACCEPTED))
    world.until_statuses("fulfillment", SHIPPED=5)
    world.kill("fulfillment")
    with capture_logs() as logs:
        world.run(world.fake_log("fulfillment"), limits, speed=1.0)
        world.until_statuses("fulfillment", SHIPPED=10)
        world.turns(ENOUGH_TURNS)
    assert [line for line in logs if "ignored" in line["event"]] == []
    assert world.statuses("fulfillment") == {"SHIPPED": 10}


def test_an_event_that_its_entity_can_never_reach_is_named_illegal() -> None:
    world = FakeWorld()
    world.start("order", dispute_rate=1.0)
    world.publish("checkout", 0, *submitted(0))
    world.until_statuses("order", CANCELLED=1)
    with capture_logs() as logs:
        world.publish("fulfillment", 0, *fulfillment_of(0, FulfillmentStatus.SHIPPED))
        world.turns(ENOUGH_TURNS)
    (line,) = [line for line in logs if "ignored" in line["event"]]
    assert line["event"] == "illegal message ignored"
    assert (line["topic"], line["partition"], line["offset"]) == ("fulfillment", 0, 0)
    assert world.statuses("order") == {"NEW": 1, "DISPUTED": 1, "CANCELLED": 1}
