"""The record finds what is lost, doubled or out of order, and nothing where all is well."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from chaos.chains import SHOWN, Chains

CHECKOUT, ORDER, FULFILLMENT = (str(UUID(int=number)) for number in (1, 2, 3))
SHOPPING = ("created", "AddressSubmitted", "PaymentMethodSubmitted", "CheckoutSubmitted")
DELIVERED = ("NEW", "MERCHANT_ACCEPTED", "SHIPPED", "COMPLETED")
DISPUTED = ("NEW", "DISPUTED", "CANCELLED")
SHIPPING = ("SHIPPED", "DELIVERED")


class Shop:
    """Tells the chains of one family, or several."""

    def __init__(self) -> None:
        self.chains = Chains()

    def shops(self, *statuses: str, checkout: str = CHECKOUT, at: float = 0) -> "Shop":
        return self._tell("checkout", statuses, at, checkout_id=checkout)

    def orders(self, *statuses: str, order: str = ORDER, checkout: str = CHECKOUT) -> "Shop":
        return self._tell("order", statuses, 0, order_id=order, checkout_id=checkout)

    def fulfills(self, *statuses: str, fulfillment: str = FULFILLMENT, order: str = ORDER) -> "Shop":
        return self._tell("fulfillment", statuses, 0, fulfillment_id=fulfillment, order_id=order)

    @property
    def wrongs(self) -> list[str]:
        return self.chains.wrongs()

    def _tell(self, topic: str, statuses: tuple[str, ...], at: float, **ids: str) -> "Shop":
        for status in statuses:
            created_at = datetime.fromtimestamp(at, UTC).isoformat()
            event = ids | {"status": status, "created_at": created_at}
            self.chains.add(topic, json.dumps(event).encode(), at + 1)
        return self


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_shopper_may_leave_at_any_step(steps: int) -> None:
    assert Shop().shops(*SHOPPING[:steps]).wrongs == []


def test_both_ends_of_an_order_are_well() -> None:
    assert Shop().shops(*SHOPPING).orders(*DELIVERED).fulfills(*SHIPPING).wrongs == []
    assert Shop().shops(*SHOPPING).orders(*DISPUTED).wrongs == []


def test_a_lost_order_is_found() -> None:
    (wrong,) = Shop().shops(*SHOPPING).wrongs
    assert "has 0 orders" in wrong


def test_a_doubled_order_is_found() -> None:
    shop = Shop().shops(*SHOPPING).orders(*DISPUTED).orders(*DISPUTED, order=str(UUID(int=9)))
    assert any("has 2 orders" in wrong for wrong in shop.wrongs)


@pytest.mark.parametrize(
    "chain", [("NEW", *DELIVERED), DELIVERED[:3], (*DISPUTED, "CANCELLED"), ("NEW", "SHIPPED", "COMPLETED")]
)
def test_an_order_off_its_path_is_found(chain: tuple[str, ...]) -> None:
    shop = Shop().shops(*SHOPPING).orders(*chain)
    assert any(f"order {ORDER} went" in wrong for wrong in shop.wrongs)


def test_an_order_of_a_checkout_that_was_not_submitted_is_found() -> None:
    (wrong,) = Shop().shops(*SHOPPING[:2]).orders(*DISPUTED).wrongs
    assert "went ca and has 1 orders" in wrong


def test_an_order_of_no_checkout_is_found() -> None:
    assert any("without a checkout" in wrong for wrong in Shop().orders(*DISPUTED).wrongs)


@pytest.mark.parametrize("chain", [("created", "created"), ("AddressSubmitted",), ("created", "CheckoutSubmitted")])
def test_a_checkout_off_its_path_is_found(chain: tuple[str, ...]) -> None:
    assert any("checkout" in wrong for wrong in Shop().shops(*chain).wrongs)


def test_fulfillments_that_are_lost_doubled_or_off_their_path_are_found() -> None:
    def shop() -> Shop:
        return Shop().shops(*SHOPPING).orders(*DELIVERED)

    assert "has 0 fulfillments" in shop().wrongs[0]
    doubled = shop().fulfills(*SHIPPING).fulfills(*SHIPPING, fulfillment=str(UUID(int=9)))
    assert "has 2 fulfillments" in doubled.wrongs[0]
    assert "went ss" in shop().fulfills("SHIPPED", "SHIPPED").wrongs[0]
    disputed = Shop().shops(*SHOPPING).orders(*DISPUTED).fulfills(*SHIPPING)
    assert "has 1 fulfillments" in disputed.wrongs[0]


def test_what_is_no_status_is_refused() -> None:
    with pytest.raises(ValueError, match="becomes 'PACKED'"):
        Shop().orders("PACKED")


def test_what_began_before_a_topic_was_recreated_is_not_judged_and_what_began_later_is() -> None:
    shop = Shop().shops(*SHOPPING, at=1).orders("NEW", "NEW")
    later = str(UUID(int=8))
    shop.shops(*SHOPPING, checkout=later, at=6)
    shop.chains.forget(at=4, until=5)
    (wrong,) = shop.wrongs
    assert later in wrong


def test_orders_that_nobody_judges_are_not_in_flight() -> None:
    shop = Shop().shops(*SHOPPING, at=1).orders("NEW")
    assert shop.chains.in_flight == 1
    shop.chains.forget(at=1e12, until=1e12)
    assert shop.chains.in_flight == 0


def test_a_life_is_remembered_whose_checkout_began_after_a_topic_was_recreated() -> None:
    shop = Shop().shops(*SHOPPING, at=10).orders(*DELIVERED).fulfills(*SHIPPING)
    lives = [("checkout", CHECKOUT), ("order", ORDER), ("fulfillment", FULFILLMENT)]
    assert all(shop.chains.remembers(*life) for life in lives)
    shop.chains.forget(at=5, until=20)
    assert all(shop.chains.remembers(*life) for life in lives)
    shop.chains.forget(at=15, until=20)
    assert not any(shop.chains.remembers(*life) for life in lives)
    assert not Shop().orders(*DELIVERED).chains.remembers("order", ORDER)


def test_many_wrongs_are_counted_and_some_are_shown() -> None:
    shop = Shop()
    for number in range(100):
        shop.shops(*SHOPPING, checkout=str(UUID(int=number)))
    assert len(shop.wrongs) == SHOWN + 1
    assert shop.wrongs[-1] == "and 80 more"
