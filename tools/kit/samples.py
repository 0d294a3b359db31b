"""Events for tests, and the business as one call."""

from datetime import UTC, datetime
from decimal import Decimal

from shop.contract.events import CartItem, Checkout, ShippingAddress, serialize
from shop.contract.ids import time_ordered_id
from shop.contract.lifecycle import CheckoutStatus

START = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
ADDRESS = ShippingAddress(name="Ada Lovelace", street="Lindenstraße 7", zip="10969", city="Berlin", country="DE")


def checkout(number: int, status: CheckoutStatus = CheckoutStatus.SUBMITTED, at: datetime = START) -> Checkout:
    """The checkout of that number: the same id at every call."""
    return Checkout(
        checkout_id=time_ordered_id(1_800_000_000_000 + number, number * 0x9E3779B97F4A7C15),
        user_id=time_ordered_id(1_700_000_000_000, number % 7),
        cart_items=(CartItem(product_id="blue-teapot", quantity=2, price=Decimal("19.90")),),
        total_amount=Decimal("39.80"),
        currency="EUR",
        payment_method="credit_card",
        shipping_address=ADDRESS,
        status=status,
        created_at=at,
        updated_at=at,
    )


def submitted(number: int, at: datetime = START) -> tuple[bytes, bytes]:
    """Key and value of a CheckoutSubmitted."""
    event = checkout(number, at=at)
    return event.key.encode(), serialize(event)
