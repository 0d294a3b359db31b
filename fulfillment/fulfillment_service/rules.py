"""The rules of a fulfillment. The table below is the whole business of this service."""

from datetime import datetime
from enum import StrEnum

from shop.contract.chance import Draw, uniform
from shop.contract.events import Event, Fulfillment, Order
from shop.contract.ids import fulfillment_id_of
from shop.contract.lifecycle import FULFILLMENT, FulfillmentStatus, OrderStatus
from shop.contract.rules import Rule, Rules

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 10.0
"""Bounds of the random time that shipping takes, and that delivery takes."""


def fulfillment_rules(*, seed: int, speed: float) -> Rules[Fulfillment]:
    """The rules of the fulfillment service."""
    shipped, delivered = FulfillmentStatus.SHIPPED, FulfillmentStatus.DELIVERED
    table = (
        #    when this is seen                      and it is  it becomes  after
        Rule("order", OrderStatus.MERCHANT_ACCEPTED, None, shipped, shipping_time),
        Rule("order", OrderStatus.SHIPPED, shipped, delivered, delivery_time),
    )
    return Rules(FULFILLMENT, table, entity_of=fulfillment_of, next_event=next_fulfillment, seed=seed, speed=speed)


def shipping_time(chance: Draw) -> float:
    return uniform(SHORTEST_SECONDS, LONGEST_SECONDS, chance("how long does shipping take?"))


def delivery_time(chance: Draw) -> float:
    return uniform(SHORTEST_SECONDS, LONGEST_SECONDS, chance("how long does delivery take?"))


def fulfillment_of(event: Event) -> str:
    """A fulfillment is known by its order's id: an order has one at most."""
    assert isinstance(event, Order | Fulfillment), "nothing else is read"
    return event.order_id


def next_fulfillment(latest: Fulfillment | None, trigger: Event, status: StrEnum, now: datetime) -> Fulfillment:
    """The fulfillment in its next status."""
    if latest is not None:
        return latest.model_copy(update={"status": status, "updated_at": now})
    order_id = fulfillment_of(trigger)
    return Fulfillment(
        fulfillment_id=fulfillment_id_of(order_id),
        order_id=order_id,
        status=FulfillmentStatus(status),
        created_at=now,
        updated_at=now,
    )
