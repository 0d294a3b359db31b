"""The events, as they stand on the wire: flat JSON in UTF-8, nothing more and nothing less than these fields.

Field bounds equal the columns' in ``sql/``. What could not come back unchanged out of the database is invalid:
upper-case ids, times without ``Z`` or with more than six fraction digits, money as text or beyond two decimals.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, model_validator
from pydantic_core import CoreSchema, core_schema

from shop.contract.ids import ID_PATTERN
from shop.contract.lifecycle import CheckoutStatus, FulfillmentStatus, OrderStatus

MAX_CART_LINES = 255


class _OnTheWire:
    """Says how a type is read from JSON, without touching what Python may pass; runs inside pydantic-core."""

    def __init__(self, json: CoreSchema) -> None:
        self._json = json

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return core_schema.json_or_python_schema(self._json, handler(source))


@lru_cache(maxsize=512)
def _money(number: float) -> Decimal:
    """The amount that a JSON number means. Prices repeat, and no other field takes as long to make."""
    # To the cache -0.0 and 0.0 are one key, so both must give the same.
    text = repr(abs(number))
    if not 1 <= len(text.partition(".")[2]) <= 2:
        raise ValueError("money has two decimals at most")
    return Decimal(text)


def _number(below: float) -> CoreSchema:
    number = core_schema.float_schema(strict=True, allow_inf_nan=False, ge=0, lt=below)
    return core_schema.no_info_after_validator_function(_money, number)


_TIME = core_schema.chain_schema(
    [
        core_schema.str_schema(
            pattern=r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
        ),
        core_schema.datetime_schema(strict=False),
    ]
)

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Time = Annotated[datetime, Field(strict=False), _OnTheWire(_TIME)]
Price = Annotated[
    Decimal,
    Field(strict=False, ge=0, max_digits=10, decimal_places=2),
    _OnTheWire(_number(below=1e8)),
    PlainSerializer(float, when_used="json"),
]
Amount = Annotated[
    Decimal,
    Field(strict=False, ge=0, max_digits=12, decimal_places=2),
    _OnTheWire(_number(below=1e10)),
    PlainSerializer(float, when_used="json"),
]


def _text(max_length: int) -> StringConstraints:
    return StringConstraints(min_length=1, max_length=max_length)


class _Message(BaseModel):
    # Most texts are ids and times, which never come again: the cache of pydantic would take 2 MB for 16,384 of them.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, cache_strings="keys")


class CartItem(_Message):
    product_id: Annotated[str, _text(64)]
    quantity: Annotated[int, Field(ge=1, le=65_535)]
    price: Price


class ShippingAddress(_Message):
    name: Annotated[str, _text(100)]
    street: Annotated[str, _text(200)]
    zip: Annotated[str, _text(16)]
    city: Annotated[str, _text(100)]
    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]


class _Purchase(_Message):
    """What a checkout and its order have in common."""

    checkout_id: Id
    user_id: Id
    # One wrong item is enough to tell: a message may hold a million of them.
    cart_items: Annotated[
        tuple[CartItem, ...], Field(strict=False, min_length=1, max_length=MAX_CART_LINES, fail_fast=True)
    ]
    total_amount: Amount
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


_WITHOUT_PAYMENT_METHOD = (CheckoutStatus.CREATED, CheckoutStatus.ADDRESS_SUBMITTED)


class Checkout(_Purchase):
    """A state of a checkout. The address is there from AddressSubmitted on, the payment method from
    PaymentMethodSubmitted on."""

    topic: ClassVar[str] = "checkout"

    payment_method: Annotated[str, _text(32)] | None
    shipping_address: ShippingAddress | None
    status: CheckoutStatus
    created_at: Time
    updated_at: Time | None = None

    @property
    def key(self) -> str:
        return self.checkout_id

    @model_validator(mode="after")
    def _submitted_is_there(self) -> Self:
        if self.shipping_address is None and self.status is not CheckoutStatus.CREATED:
            raise ValueError(f"shipping_address is missing in status {self.status}")
        if self.payment_method is None and self.status not in _WITHOUT_PAYMENT_METHOD:
            raise ValueError(f"payment_method is missing in status {self.status}")
        return self


class Order(_Purchase):
    """A state of an order, with all that its checkout held."""

    topic: ClassVar[str] = "order"

    order_id: Id
    payment_method: Annotated[str, _text(32)]
    shipping_address: ShippingAddress
    status: OrderStatus
    created_at: Time
    updated_at: Time | None = None

    @property
    def key(self) -> str:
        return self.order_id


class Fulfillment(_Message):
    """A state of the fulfillment of one order."""

    topic: ClassVar[str] = "fulfillment"

    fulfillment_id: Id
    order_id: Id
    status: FulfillmentStatus
    created_at: Time
    updated_at: Time | None = None

    @property
    def key(self) -> str:
        return self.order_id


Event = Checkout | Order | Fulfillment
Made = TypeVar("Made", bound=Event)
EVENTS: dict[str, type[Checkout] | type[Order] | type[Fulfillment]] = {
    model.topic: model for model in (Checkout, Order, Fulfillment)
}


def make(model: type[Made], fields: dict[str, Any]) -> Made:
    """The event with these fields, validated as ``model(**fields)`` would be, in three quarters of its time."""
    event: Made = model.__pydantic_validator__.validate_python(fields)
    return event


def parse(topic: str, value: bytes | None) -> Event:
    """The event that a message of ``topic`` holds.

    Raises ValueError (pydantic's ValidationError is one) that says what is wrong with it.
    """
    if value is None:
        raise ValueError("the message has no value (null)")
    event: Event = EVENTS[topic].__pydantic_validator__.validate_json(value)
    return event


def serialize(event: Event) -> bytes:
    """The bytes of an event on the wire; ``parse`` gives the equal event back."""
    return event.__pydantic_serializer__.to_json(event)
