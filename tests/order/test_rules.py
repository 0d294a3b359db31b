"""The rules of the order service, without a broker: what follows what, how often, and with what content."""

from datetime import timedelta

from order_service.rules import order_of, order_rules
from shop.contract.events import Fulfillment, Order
from shop.contract.ids import fulfillment_id_of, order_id_of
from shop.contract.lifecycle import ORDER, CheckoutStatus, FulfillmentStatus, OrderStatus
from tools.kit.samples import START, checkout

RULES = order_rules(seed=1, speed=1.0, dispute_rate=0.05)
LATER = START + timedelta(seconds=3)


def new_order(number: int) -> Order:
    order = RULES.next_event(None, checkout(number), OrderStatus.NEW, LATER)
    assert isinstance(order, Order)
    return order


def test_one_order_in_twenty_is_disputed() -> None:
    orders = 20_000
    answers = [RULES.transition(new_order(number)) for number in range(orders)]
    disputed = sum(answer is not None and answer.becomes is OrderStatus.DISPUTED for answer in answers)
    assert abs(disputed / orders - 0.05) < 0.007


def test_only_a_submitted_checkout_opens_an_order() -> None:
    for status in CheckoutStatus:
        transition = RULES.transition(checkout(1, status))
        assert (transition is not None) == (status is CheckoutStatus.SUBMITTED)


def test_a_new_order_takes_over_what_its_checkout_held() -> None:
    source, order = checkout(1), new_order(1)
    assert order.order_id == order_id_of(source.checkout_id)
    shared = set(type(source).model_fields) - {"status", "created_at", "updated_at"}
    assert all(getattr(order, name) == getattr(source, name) for name in shared)
    assert order.created_at == order.updated_at == LATER


def test_every_transition_of_the_table_is_legal() -> None:
    for number in range(200):
        order = new_order(number)
        transition = RULES.transition(order)
        while transition is not None and transition.becomes is not None:
            assert transition.needs is order.status
            assert isinstance(transition.becomes, OrderStatus)
            assert ORDER.allows(order.status, transition.becomes)
            order = RULES.next_event(order, order, transition.becomes, LATER)
            transition = RULES.transition(order)
        assert order.status in {OrderStatus.MERCHANT_ACCEPTED, OrderStatus.CANCELLED}


def test_shipping_and_delivery_lead_the_order_on() -> None:
    order_id = order_id_of(checkout(1).checkout_id)
    for status, needs, becomes in (
        (FulfillmentStatus.SHIPPED, OrderStatus.MERCHANT_ACCEPTED, OrderStatus.SHIPPED),
        (FulfillmentStatus.DELIVERED, OrderStatus.SHIPPED, OrderStatus.COMPLETED),
    ):
        fulfillment = Fulfillment(
            fulfillment_id=fulfillment_id_of(order_id), order_id=order_id, status=status, created_at=START
        )
        transition = RULES.transition(fulfillment)
        assert transition is not None
        assert (transition.entity_id, transition.needs, transition.becomes) == (order_id, needs, becomes)
        assert transition.delay == 0.0


def test_an_order_is_known_by_the_same_id_from_every_topic() -> None:
    assert order_of(checkout(1)) == order_of(new_order(1))


def test_another_seed_decides_otherwise_and_the_same_seed_the_same() -> None:
    other = order_rules(seed=2, speed=1.0, dispute_rate=0.5)
    again = order_rules(seed=2, speed=1.0, dispute_rate=0.5)
    first = order_rules(seed=1, speed=1.0, dispute_rate=0.5)
    orders = [new_order(number) for number in range(200)]
    assert [other.transition(one) for one in orders] == [again.transition(one) for one in orders]
    assert [other.transition(one) for one in orders] != [first.transition(one) for one in orders]


def test_speed_divides_every_delay() -> None:
    fast = order_rules(seed=1, speed=100.0, dispute_rate=0.05)
    slow, quick = RULES.transition(new_order(1)), fast.transition(new_order(1))
    assert slow is not None
    assert quick is not None
    assert abs(slow.delay / quick.delay - 100.0) < 1e-9
