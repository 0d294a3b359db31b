"""How a message, or a row of fulfillment's own table, becomes an entry of the history."""

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from analytics_service.audit.history import (
    BROKER_TIME,
    NO_DIGEST,
    NUMBERS,
    RECENT,
    STRANGE_ID,
    TABLE_ROW,
    Entry,
)
from analytics_service.audit.messages import AuditedRange, Message
from analytics_service.dead_letters import reason_of
from shop.contract.events import Event, Fulfillment, Order, parse
from shop.contract.ids import fulfillment_id_of, order_id_of
from shop.contract.lifecycle import CheckoutStatus, FulfillmentStatus

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOUGHT = {"checkout_id", "user_id", "cart_items", "total_amount", "currency", "payment_method", "shipping_address"}
"""What an order takes over from its checkout."""


class ProjectedRow(NamedTuple):
    """A row of fulfillment's own table."""

    fulfillment_id: str
    order_id: str
    status: str
    created_at: datetime
    updated_at: datetime


def read(topic: str, value: bytes | str | None) -> Event | str:
    """The event that this is, or why it is none."""
    try:
        return parse(topic, value.encode() if isinstance(value, str) else value)
    except ValueError as error:
        return reason_of(error)


def entry_of(event: Event, message: Message, of: AuditedRange) -> Entry:
    """What is remembered of a message."""
    flags = (RECENT if message.offset >= of.high_watermark else 0) | (BROKER_TIME if message.broker_time else 0)
    digest = NO_DIGEST
    if isinstance(event, Fulfillment):
        order_id, subject = event.order_id, event.fulfillment_id
        if subject != fulfillment_id_of(order_id):
            flags |= STRANGE_ID
        updated = event.updated_at or EPOCH + timedelta(milliseconds=message.time)
        digest = _digest(f"{event.created_at.isoformat()} {updated.isoformat()}")
    else:
        order_id, subject = order_id_of(event.checkout_id), event.checkout_id
        if isinstance(event, Order) or event.status is CheckoutStatus.SUBMITTED:
            digest = _digest(event.model_dump_json(include=BOUGHT))
        if isinstance(event, Order) and event.order_id != order_id:
            order_id = event.order_id
            flags |= STRANGE_ID
    return Entry(
        _bytes(order_id),
        _bytes(subject),
        NUMBERS[of.topic, event.status],
        flags,
        of.partition,
        message.offset,
        message.time,
        digest,
    )


def entry_of_row(row: ProjectedRow) -> Entry:
    """What is remembered of a row of fulfillment's own table."""
    return Entry(
        _bytes(row.order_id),
        _bytes(row.fulfillment_id),
        NUMBERS["fulfillment", FulfillmentStatus(row.status)],
        TABLE_ROW,
        0,
        0,
        (row.updated_at - EPOCH) // timedelta(milliseconds=1),
        _digest(f"{row.created_at.isoformat()} {row.updated_at.isoformat()}"),
    )


def _bytes(uuid: str) -> bytes:
    return bytes.fromhex(uuid.replace("-", ""))


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8).digest()
