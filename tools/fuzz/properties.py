"""What holds for any bytes whatever, without a database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from analytics_service.dead_letters import encode_headers, reason_of
from analytics_service.ingest.batch import fact
from analytics_service.ingest.rows import COLUMNS, Child
from shop.contract.events import Event, parse, serialize
from tools.fuzz.load_data import Column, decode
from tools.fuzz.messages import Headers

LOG_ID, PARTITION, OFFSET = 7, 3, 11
TIME = "2027-01-15 08:00:00.123"

Tables = Mapping[str, Mapping[str, Column]]
"""The columns of each table."""


class Broken(Exception):
    """A property does not hold, and which one."""


def judge(topic: str, value: bytes | None, tables: Tables) -> Event | None:
    """The event that the bytes are; None: they are refused, with a reason that a dead letter can hold.

    Raises Broken, and whatever else a reader raises that it must not.
    """
    try:
        event = parse(topic, value)
    except ValueError as error:
        _is_storable(reason_of(error), tables["dead_letter"]["reason"])
        return None
    if parse(topic, serialize(event)) != event:
        raise Broken(f"written and read again it is another event: {serialize(event)!r}")
    if (stored := loaded(topic, value, tables)) != (wanted := event.model_dump()):
        raise Broken(f"LOAD DATA would store {stored}, not {wanted}")
    return event


def loaded(topic: str, value: bytes | None, tables: Tables) -> dict[str, Any]:
    """The fields of an event as they lie in the tables once its lines were loaded. Raises Broken, ValueError."""
    made = fact(topic, LOG_ID, PARTITION, OFFSET, TIME, value)
    (row,) = _rows(topic, made.line, tables)
    if [row.pop(name) for name in ("log_id", "kafka_partition", "kafka_offset")] != [LOG_ID, PARTITION, OFFSET]:
        raise Broken("the coordinates are others")
    if row.pop("kafka_timestamp") != datetime.fromisoformat(f"{TIME}Z"):
        raise Broken("the message's time is another")
    if topic != "fulfillment":
        row["cart_items"] = _children("cart_item", made.cart, row.pop("cart_id"), tables)
        for number, item in enumerate(row["cart_items"], 1):
            if item.pop("line_no") != number:
                raise Broken(f"line {number} of the cart has another number")
        found = _children("shipping_address", made.address, row.pop("address_id"), tables)
        row["shipping_address"] = found[0] if found else None
    return row


def header_bytes(text: str | None) -> Headers:
    """The headers that a dead letter holds."""
    if text is None:
        return []
    pairs = [part.partition("=") for part in text.split("&")]
    return [
        (unquote_to_bytes(name).decode(), unquote_to_bytes(value) if equals else None)
        for name, equals, value in pairs
    ]


def judge_headers(headers: Headers) -> None:
    """Headers come back out of a dead letter. Raises Broken."""
    text = encode_headers(headers)
    if text is not None and not text.isascii():
        raise Broken(f"headers {text!r} do not fit their column")
    if header_bytes(text) != headers:
        raise Broken(f"headers {headers} became {text!r}")


def _rows(table: str, lines: str, tables: Tables) -> list[dict[str, Any]]:
    names = COLUMNS[table].split(", ")
    return [
        {name: tables[table][name].read(field) for name, field in zip(names, row, strict=True)}
        for row in decode(lines)
    ]


def _children(table: str, child: Child | None, key: str | None, tables: Tables) -> tuple[dict[str, Any], ...]:
    if child is None:
        if key is not None:
            raise Broken(f"{key} is not in {table}")
        return ()
    rows = _rows(table, child.lines, tables)
    if len(rows) != len(child.rows) or any(row.pop(COLUMNS[table].split(", ")[0]) != key for row in rows):
        raise Broken(f"{table} holds other rows than {child.rows}")
    return tuple(rows)


def _is_storable(reason: str, column: Column) -> None:
    if not column.read(reason).strip() or "\n" in reason:
        raise Broken(f"no reason in one line: {reason!r}")
