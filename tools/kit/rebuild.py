"""Back from the tables to the events: every message, field for field, as it was parsed."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, text

from analytics_service.stored import LogPartition
from shop.contract.events import CartItem, Checkout, Event, Fulfillment, Order, ShippingAddress
from shop.contract.lifecycle import CheckoutStatus, FulfillmentStatus, OrderStatus

CHUNK = 2000


class StoredEvent(NamedTuple):
    """An event as the tables hold it; ``timestamp`` is the broker's time."""

    offset: int
    timestamp: datetime
    event: Event


def rebuild(connection: Connection, table: str, partition: LogPartition, first: int = 0) -> Iterator[StoredEvent]:
    """All stored events of one partition from offset ``first`` on, in order of their offsets.

    Holds ``CHUNK`` events at a time. Raises KeyError where a row refers to a cart or an address that is not stored,
    ValidationError where a row is no valid event, DBAPIError.
    """
    chunk = text(
        f"SELECT * FROM `{table}` WHERE log_id = :log_id AND kafka_partition = :number AND kafka_offset >= :first "
        f"ORDER BY kafka_offset LIMIT {CHUNK}"
    )
    while True:
        rows = connection.execute(chunk, partition._asdict() | {"first": first}).mappings().all()
        if table == Fulfillment.topic:
            events: Iterable[Event] = map(_fulfillment, rows)
        else:
            carts = _carts(connection, {row["cart_id"] for row in rows})
            addresses = _addresses(connection, {row["address_id"] for row in rows} - {None})
            make = _checkout if table == Checkout.topic else _order
            events = (make(row, carts, addresses) for row in rows)
        for row, event in zip(rows, events, strict=True):
            yield StoredEvent(row["kafka_offset"], row["kafka_timestamp"].replace(tzinfo=UTC), event)
        if len(rows) < CHUNK:
            return
        first = rows[-1]["kafka_offset"] + 1


def _checkout(row: RowMapping, carts: Mapping[str, Any], addresses: Mapping[str, ShippingAddress]) -> Checkout:
    address = None if row["address_id"] is None else addresses[row["address_id"]]
    return Checkout(status=CheckoutStatus(row["status"]), shipping_address=address, **_purchase(row, carts))


def _order(row: RowMapping, carts: Mapping[str, Any], addresses: Mapping[str, ShippingAddress]) -> Order:
    return Order(
        order_id=row["order_id"],
        status=OrderStatus(row["status"]),
        shipping_address=addresses[row["address_id"]],
        **_purchase(row, carts),
    )


def _fulfillment(row: RowMapping) -> Fulfillment:
    return Fulfillment(
        fulfillment_id=row["fulfillment_id"],
        order_id=row["order_id"],
        status=FulfillmentStatus(row["status"]),
        **_times(row),
    )


def _purchase(row: RowMapping, carts: Mapping[str, Any]) -> dict[str, Any]:
    same = ("checkout_id", "user_id", "total_amount", "currency", "payment_method")
    return {name: row[name] for name in same} | {"cart_items": carts[row["cart_id"]]} | _times(row)


def _times(row: RowMapping) -> dict[str, Any]:
    updated = row["updated_at"]
    return {
        "created_at": row["created_at"].replace(tzinfo=UTC),
        "updated_at": None if updated is None else updated.replace(tzinfo=UTC),
    }


def _carts(connection: Connection, ids: set[str]) -> dict[str, tuple[CartItem, ...]]:
    carts: dict[str, tuple[CartItem, ...]] = {}
    for row in _with_ids(connection, "cart_item", "cart_id", ids, "cart_id, line_no"):
        item = CartItem(product_id=row["product_id"], quantity=row["quantity"], price=row["price"])
        carts[row["cart_id"]] = (*carts.get(row["cart_id"], ()), item)
    return carts


def _addresses(connection: Connection, ids: set[str]) -> dict[str, ShippingAddress]:
    return {
        row["address_id"]: ShippingAddress(**{name: value for name, value in row.items() if name != "address_id"})
        for row in _with_ids(connection, "shipping_address", "address_id", ids, "address_id")
    }


def _with_ids(connection: Connection, table: str, column: str, ids: set[str], order: str) -> Iterable[RowMapping]:
    if not ids:
        return ()
    # The ids come from the database itself.
    listed = ", ".join(f"'{one}'" for one in sorted(ids))
    return connection.execute(text(f"SELECT * FROM {table} WHERE {column} IN ({listed}) ORDER BY {order}")).mappings()
