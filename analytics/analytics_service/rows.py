"""An event as text for LOAD DATA. Pure, and the inner loop of the ingest: every microsecond here counts.

A cart and an address are stored once per distinct content, under an id that is a hash of it: whoever writes the same
content writes the same row, so writers need not ask each other.
"""

from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from shop.contract.events import CartItem, Checkout, Event, Fulfillment, ShippingAddress

NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})

COLUMNS = {
    "checkout": "log_id, kafka_partition, kafka_offset, kafka_timestamp, checkout_id, user_id, cart_id, "
    "total_amount, currency, payment_method, address_id, status, created_at, updated_at",
    "order": "log_id, kafka_partition, kafka_offset, kafka_timestamp, order_id, checkout_id, user_id, cart_id, "
    "total_amount, currency, payment_method, address_id, status, created_at, updated_at",
    "fulfillment": "log_id, kafka_partition, kafka_offset, kafka_timestamp, fulfillment_id, order_id, status, "
    "created_at, updated_at",
    "cart_item": "cart_id, line_no, product_id, quantity, price",
    "shipping_address": "address_id, name, street, zip, city, country",
}
"""The columns of each table, in the order in which the lines here hold them."""


class Child(NamedTuple):
    """The rows of a cart or an address, one per line."""

    key: str
    lines: str
    rows: int


class Row(NamedTuple):
    """What one event becomes. ``fields`` are the columns after the message's coordinates and time."""

    fields: str
    cart: Child | None
    address: Child | None


def row(event: Event) -> Row:
    """The rows of an event."""
    if isinstance(event, Fulfillment):
        ids = f"{event.fulfillment_id}\t{event.order_id}"
        return Row(f"{ids}\t{event.status}\t{_times(event)}\n", None, None)
    ids = event.checkout_id if isinstance(event, Checkout) else f"{event.order_id}\t{event.checkout_id}"
    cart = _cart(event.checkout_id, event.cart_items)
    address = None if event.shipping_address is None else _address(event.shipping_address)
    payment = NULL if event.payment_method is None else _text(event.payment_method)
    fields = (
        f"{ids}\t{event.user_id}\t{cart.key}\t{event.total_amount}\t{event.currency}\t{payment}\t"
        f"{NULL if address is None else address.key}\t{event.status}\t{_times(event)}\n"
    )
    return Row(fields, cart, address)


def milliseconds(unix_ms: int) -> str:
    """A DATETIME(3) in UTC. Raises ValueError, OverflowError or OSError beyond the years of ``datetime``."""
    return f"{datetime.utcfromtimestamp(unix_ms // 1000).isoformat(' ')}.{unix_ms % 1000:03}"


def _cart(checkout_id: str, items: tuple[CartItem, ...]) -> Child:
    rows = [f"{number}\t{_text(i.product_id)}\t{i.quantity}\t{i.price}\n" for number, i in enumerate(items, 1)]
    digest = blake2b("".join(rows).encode(), digest_size=9, person=b"cart").hexdigest()
    key = f"{checkout_id[:13]}-8{digest[:3]}-9{digest[3:6]}-{digest[6:]}"
    return Child(key, "".join([f"{key}\t{line}" for line in rows]), len(rows))


def _address(address: ShippingAddress) -> Child:
    values = (address.name, address.street, address.zip, address.city, address.country)
    line = "\t".join(map(_text, values)) + "\n"
    digest = blake2b(line.encode(), digest_size=15, person=b"address").hexdigest()
    key = f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-9{digest[15:18]}-{digest[18:]}"
    return Child(key, f"{key}\t{line}", 1)


def _times(event: Event) -> str:
    updated = NULL if event.updated_at is None else _time(event.updated_at)
    return f"{_time(event.created_at)}\t{updated}"


def _time(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(" ")


def _text(text: str) -> str:
    return text.translate(_ESCAPES)
