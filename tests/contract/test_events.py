"""What is an event and what is not: the wire form, field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shop.contract.events import _money, parse, serialize
from shop.contract.ids import fulfillment_id_of, murmur2, order_id_of, time_ordered_id
from shop.contract.lifecycle import LIFECYCLES, CheckoutStatus
from tools.kit.samples import checkout


def wire(**changes: Any) -> bytes:
    """A valid CheckoutSubmitted with some fields changed; a field changed to ... is left out."""
    fields = json.loads(serialize(checkout(1))) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def item(**changes: Any) -> list[dict[str, Any]]:
    return [{"product_id": "tea", "quantity": 1, "price": 1.5} | changes]


def test_money_is_a_number_times_end_in_z_and_every_field_is_there() -> None:
    fields = json.loads(serialize(checkout(1)))
    assert fields["total_amount"] == 39.8
    assert fields["created_at"] == "2027-01-15T08:00:00Z"
    assert set(fields) == {
        "checkout_id", "user_id", "cart_items", "total_amount", "currency",
        "payment_method", "shipping_address", "status", "created_at", "updated_at",
    }  # fmt: skip


def test_what_is_written_is_read_back_equal() -> None:
    assert parse("checkout", serialize(checkout(1))) == checkout(1)


def test_updated_at_is_optional_on_reading() -> None:
    assert parse("checkout", wire(updated_at=...)).updated_at is None
    assert parse("checkout", wire(updated_at=None)).updated_at is None


WRONG: dict[str, bytes | None] = {
    "null message": None,
    "empty": b"",
    "not JSON": b"{",
    "not an object": b"[]",
    "not UTF-8": wire().replace(b"Berlin", b"Berl\xffn"),
    "deeply nested": b"[" * 10_000,
    "unknown field": wire(more=1),
    "missing field": wire(user_id=...),
    "upper-case id": wire(user_id=checkout(1).user_id.upper()),
    "id of no version": wire(user_id="00000000-0000-0000-0000-000000000000"),
    "id that MariaDB refuses": wire(user_id="01931b3e-a800-8abc-80cd-0123456789ab"),
    "money as text": wire(total_amount="39.80"),
    "money with three decimals": wire(total_amount=39.801),
    "negative money": wire(total_amount=-1),
    "too much money": wire(total_amount=10_000_000_000.0),
    "infinite money": wire().replace(b"39.8", b"1e400"),
    "NaN": wire().replace(b"39.8", b"NaN"),
    "money as a boolean": wire(total_amount=True),
    "quantity zero": wire(cart_items=item(quantity=0)),
    "quantity as text": wire(cart_items=item(quantity="1")),
    "quantity as a fraction": wire(cart_items=item(quantity=1.5)),
    "quantity beyond the column": wire(cart_items=item(quantity=65_536)),
    "no items": wire(cart_items=[]),
    "too many items": wire(cart_items=item() * 256),
    "product id too long": wire(cart_items=item(product_id="x" * 65)),
    "time without Z": wire(created_at="2027-01-15T08:00:00+00:00"),
    "time with seven digits": wire(created_at="2027-01-15T08:00:00.1234567Z"),
    "time as a number": wire(created_at=1_800_000_000),
    "thirteenth month": wire(created_at="2027-13-15T08:00:00Z"),
    "unknown status": wire(status="Submitted"),
    "address missing when submitted": wire(shipping_address=None),
    "payment method missing when submitted": wire(payment_method=None),
    "currency in small letters": wire(currency="eur"),
    "status as a number": wire(status=1),
}


@pytest.mark.parametrize("message", WRONG.values(), ids=WRONG.keys())
def test_what_breaks_the_contract_is_refused_with_a_reason(message: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        parse("checkout", message)


def test_of_many_wrong_items_one_is_told() -> None:
    """All of them, in a message of 1 MB, took seconds and hundreds of megabytes."""
    with pytest.raises(ValidationError) as refused:
        parse("checkout", wire(cart_items=[{}] * 10_000))
    assert {error["loc"][1] for error in refused.value.errors() if len(error["loc"]) > 1} == {0}
    assert refused.value.error_count() == 4


def test_a_created_checkout_has_neither_address_nor_payment_method_yet() -> None:
    message = wire(status=CheckoutStatus.CREATED, shipping_address=None, payment_method=None)
    assert parse("checkout", message).status is CheckoutStatus.CREATED


@pytest.mark.parametrize("first", ["0.0", "-0.0"])
def test_a_zero_is_read_the_same_whatever_was_read_before(first: str) -> None:
    _money.cache_clear()
    for zero in (first, "0.0", "-0.0"):
        message = wire(total_amount=7.25).replace(b"7.25", zero.encode())
        assert b'"total_amount":0.0,' in serialize(parse("checkout", message))


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_derived_ids_are_valid_and_keep_the_time_of_their_parent(unix_ms: int, random: int) -> None:
    parent = time_ordered_id(unix_ms, random)
    order = order_id_of(parent)
    child = fulfillment_id_of(order)
    assert order[:13] == child[:13] == parent[:13]
    assert len({parent, order, child}) == 3
    for one in (parent, order, child):
        assert parse("checkout", wire(user_id=one))
    assert all(0x90 <= int(one[19:21], 16) <= 0xBF for one in (order, child))


@pytest.mark.parametrize(
    ("key", "expected"), [(b"21", 1173551340), (b"foobar", 1357151166), (b"a-little-bit-long-string", 1161502112)]
)
def test_keys_hash_as_in_kafkas_own_clients(key: bytes, expected: int) -> None:
    """The expected values are those of org.apache.kafka.common.utils.Utils, without their sign bit."""
    assert murmur2(key) == expected


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda one: one.topic)
def test_every_status_is_reachable_from_the_first_and_final_ones_end_it(lifecycle: Any) -> None:
    assert all(lifecycle.reaches(lifecycle.first, status) for status in lifecycle.transitions)
    final = [status for status in lifecycle.transitions if lifecycle.is_final(status)]
    assert final
    assert all(not lifecycle.allows(status, other) for status in final for other in lifecycle.transitions)
    assert lifecycle.allows(None, lifecycle.first)
