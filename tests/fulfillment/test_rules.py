"""The rules of the fulfillment service, without a broker or a database."""

import pytest

from fulfillment_service.rules import LONGEST_SECONDS, SHORTEST_SECONDS, fulfillment_rules
from shop.contract.events import Fulfillment, Order
from shop.contract.ids import fulfillment_id_of, order_id_of
from shop.contract.lifecycle import FulfillmentStatus, OrderStatus
from tools.kit.samples import START, checkout

RULES = fulfillment_rules(seed=1, speed=1.0)


def order(number: int, status: OrderStatus) -> Order:
    source = checkout(number)
    fields = {name: getattr(source, name) for name in type(source).model_fields} | {"status": status}
    return Order(order_id=order_id_of(source.checkout_id), **fields)


@pytest.mark.parametrize(
    ("seen", "needs", "becomes"),
    [
        (OrderStatus.MERCHANT_ACCEPTED, None, FulfillmentStatus.SHIPPED),
        (OrderStatus.SHIPPED, FulfillmentStatus.SHIPPED, FulfillmentStatus.DELIVERED),
    ],
)
def test_an_accepted_order_is_shipped_and_a_shipped_one_delivered_after_one_to_ten_seconds(
    seen: OrderStatus, needs: FulfillmentStatus | None, becomes: FulfillmentStatus
) -> None:
    transitions = [RULES.transition(order(number, seen)) for number in range(1000)]
    delays = [one.delay for one in transitions if one is not None]
    assert all(one is not None and (one.needs, one.becomes) == (needs, becomes) for one in transitions)
    assert min(delays) >= SHORTEST_SECONDS
    assert max(delays) <= LONGEST_SECONDS
    assert abs(sum(delays) / len(delays) - 5.5) < 0.3


@pytest.mark.parametrize("seen", sorted(set(OrderStatus) - {OrderStatus.MERCHANT_ACCEPTED, OrderStatus.SHIPPED}))
def test_no_other_order_concerns_it(seen: OrderStatus) -> None:
    assert RULES.transition(order(1, seen)) is None


def test_a_fulfillment_has_an_id_of_its_own_derived_from_its_order() -> None:
    accepted = order(1, OrderStatus.MERCHANT_ACCEPTED)
    event = RULES.next_event(None, accepted, FulfillmentStatus.SHIPPED, START)
    assert isinstance(event, Fulfillment)
    assert event.fulfillment_id == fulfillment_id_of(accepted.order_id) != accepted.order_id
    assert event.key == accepted.order_id
