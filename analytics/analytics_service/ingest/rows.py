"""An event as text for LOAD DATA. Pure, and the inner loop of the ingest: every microsecond here counts.

A cart and an address are stored once per distinct content, under an id that is a hash of it: whoever writes the same
content writes the same row, so writers need not ask each other.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from shop.contract.events import CartItem, Checkout, Event, Fulfillment

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
    """The rows of a cart or an address: its key, and the columns after the key, one line for each row."""

    key: str
    rows: Sequence[str]

    @property
    def lines(self) -> str:
        """All columns. Made only for what is to be stored: most carts and addresses are stored already."""
        return "".join([f"{self.key}\t{row}" for row in self.rows])


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
    cart, to = _cart(event.checkout_id, event.cart_items), event.shipping_address
    address = None if to is None else _address(to.name, to.street, to.zip, to.city, to.country)
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
    rows = [_item(number, i.product_id, i.quantity, str(i.price)) for number, i in enumerate(items, 1)]
    digest = blake2b("".join(rows).encode(), digest_size=9, person=b"cart").hexdigest()
    return Child(f"{checkout_id[:13]}-8{digest[:3]}-9{digest[3:6]}-{digest[6:]}", rows)


@lru_cache(maxsize=1024)
def _item(number: int, product_id: str, quantity: int, price: str) -> str:
    return f"{number}\t{_text(product_id)}\t{quantity}\t{price}\n"


@lru_cache(maxsize=512)
def _address(*values: str) -> Child:
    line = "\t".join(map(_text, values)) + "\n"
    digest = blake2b(line.encode(), digest_size=15, person=b"address").hexdigest()
    return Child(f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-9{digest[15:18]}-{digest[18:]}", (line,))


def _times(event: Event) -> str:
    created, updated = event.created_at, event.updated_at
    text = _time(created)
    return f"{text}\t{text if updated == created else NULL if updated is None else _time(updated)}"


def _time(time: datetime) -> str:
    # All times are UTC, so what is cut off is +00:00; this takes half as long as to make them naive first.
    return time.isoformat(" ")[:-6]


def _text(text: str) -> str:
    # What has to be escaped is not printable, but for the backslash; and nearly all text is.
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPES)
