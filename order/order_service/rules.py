"""The rules of an order. The table below is the whole business of this service."""

from datetime import datetime
from enum import StrEnum

from shop.contract.chance import Draw, log_normal
from shop.contract.events import Checkout, Event, Order, make
from shop.contract.ids import order_id_of
from shop.contract.lifecycle import ORDER, CheckoutStatus, FulfillmentStatus, OrderStatus
from shop.contract.rules import Rule, Rules, at_once

MERCHANT_SECONDS = 1.0
"""Median time in which a merchant answers."""
CANCELLATION_SECONDS = 2.0
"""Median time after which a disputed order is cancelled."""


def order_rules(*, seed: int, speed: float, dispute_rate: float) -> Rules[Order]:
    """The rules of the order service; ``dispute_rate`` is the share of orders that a merchant disputes."""

    new, accepted, disputed = OrderStatus.NEW, OrderStatus.MERCHANT_ACCEPTED, OrderStatus.DISPUTED
    shipped, completed, cancelled = OrderStatus.SHIPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED

    def merchant_answers(chance: Draw) -> OrderStatus:
        return disputed if chance("does the merchant dispute?") < dispute_rate else accepted

    def answer_time(chance: Draw) -> float:
        return log_normal(MERCHANT_SECONDS, 0.5, chance("when does the merchant answer?"))

    def cancellation_time(chance: Draw) -> float:
        return log_normal(CANCELLATION_SECONDS, 0.5, chance("when is it cancelled?"))

    table = (
        #    when this is seen                            and it is  it becomes        after
        Rule("checkout", CheckoutStatus.SUBMITTED, None, new, at_once),
        Rule("order", new, new, merchant_answers, answer_time),
        Rule("order", disputed, disputed, cancelled, cancellation_time),
        Rule("fulfillment", FulfillmentStatus.SHIPPED, accepted, shipped, at_once),
        Rule("fulfillment", FulfillmentStatus.DELIVERED, shipped, completed, at_once),
    )
    return Rules(ORDER, table, entity_of=order_of, next_event=next_order, seed=seed, speed=speed)


def order_of(event: Event) -> str:
    """The id of the order that an event is about."""
    return order_id_of(event.checkout_id) if isinstance(event, Checkout) else event.order_id


def next_order(latest: Order | None, trigger: Event, status: StrEnum, now: datetime) -> Order:
    """The order in its next status; a new one takes over all that its checkout held."""
    if latest is not None:
        return latest.model_copy(update={"status": status, "updated_at": now})
    assert isinstance(trigger, Checkout), "only a checkout opens an order"
    own = {"order_id": order_id_of(trigger.checkout_id), "status": status, "created_at": now, "updated_at": now}
    return make(Order, vars(trigger) | own)
