"""The reckoning by itself, on checkouts that are made up."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest

from checkout_service.rules import goes_on_to
from shop.contract.chance import draws
from shop.contract.events import CartItem, Checkout
from shop.contract.ids import order_id_of
from shop.contract.lifecycle import LIFECYCLES, CheckoutStatus
from tools.kit import samples
from truth.business import Business
from truth.reckoning import Reckoning, life

SEED = 7
CARTS = (
    (CartItem(product_id="oak-mirror", quantity=2, price=Decimal("9.13")),),
    (
        CartItem(product_id="oak-mirror", quantity=1, price=Decimal("9.13")),
        CartItem(product_id="felt-bowl", quantity=3, price=Decimal("0.99")),
        CartItem(product_id="oak-mirror", quantity=1, price=Decimal("9.13")),
    ),
)
CURRENCIES = ("EUR", "GBP", "EUR")


@pytest.fixture
def business(monkeypatch: pytest.MonkeyPatch) -> Business:
    """A shop in which much happens."""
    for name, value in {"SEED": SEED, "CONVERSION": 0.5, "DISPUTE_RATE": 0.3, "CUSTOMERS": 20}.items():
        monkeypatch.setenv(name, str(value))
    return Business.load()


def opened(count: int) -> Iterator[Checkout]:
    """As many checkouts as they are when they are opened."""
    for number in range(count):
        cart = CARTS[number % len(CARTS)]
        yield samples.checkout(number, CheckoutStatus.CREATED).model_copy(
            update={
                "shipping_address": None,
                "payment_method": None,
                "cart_items": cart,
                "total_amount": sum((line.quantity * line.price for line in cart), Decimal()),
                "currency": CURRENCIES[number % len(CURRENCIES)],
            }
        )


def reckoned(business: Business, count: int) -> Reckoning:
    reckoning = Reckoning(business.rules())
    for checkout in opened(count):
        reckoning.add(checkout)
    return reckoning


def is_submitted(checkout: Checkout, conversion: float) -> bool:
    """Asked step by step, by hand."""
    chance = draws(SEED, checkout.checkout_id)
    steps = [status for status in CheckoutStatus if status is not CheckoutStatus.CREATED]
    return all(goes_on_to(step, conversion)(chance) for step in steps)


def is_disputed(checkout: Checkout, dispute_rate: float) -> bool:
    return draws(SEED, order_id_of(checkout.checkout_id))("does the merchant dispute?") < dispute_rate


def test_it_adds_up_to_what_walking_by_hand_does(business: Business) -> None:
    ordered = [one for one in opened(300) if is_submitted(one, 0.5)]
    disputed = [one for one in ordered if is_disputed(one, 0.3)]
    completed = [one for one in ordered if one not in disputed]
    assert ordered
    assert disputed
    assert completed

    truth = reckoned(business, 300).truth()

    assert truth.checkout.created == 300
    assert truth.checkout.submitted == len(ordered)
    assert truth.checkout.abandoned == 300 - len(ordered)
    assert [step.entered for step in truth.funnel][1:] == [step.went_on for step in truth.funnel][:-1]
    assert (truth.funnel[0].entered, truth.funnel[-1].went_on) == (300, len(ordered))
    cohort = truth.order_cohort
    assert (cohort.placed, cohort.disputed, cohort.completed) == (len(ordered), len(disputed), len(completed))
    assert (cohort.cancelled, cohort.in_flight) == (len(disputed), 0)
    assert [row.currency for row in truth.revenue] == ["EUR", "GBP"]
    for row in truth.revenue:
        mine = [one for one in ordered if one.currency == row.currency]
        assert row.orders == len(mine)
        for amount, orders in ((row.gross, mine), (row.disputed, disputed), (row.completed, completed)):
            assert amount == sum(one.total_amount for one in orders if one.currency == row.currency)
        pieces = sum(line.quantity for one in mine for line in one.cart_items)
        assert row.items_per_order == pytest.approx(Decimal(pieces) / len(mine), abs=Decimal("0.0001"))
        assert row.average_order_value == pytest.approx(row.gross / len(mine), abs=Decimal("0.01"))
    events = {row.topic: row.events for row in truth.events}
    assert events["checkout"] == 300 + sum(step.went_on for step in truth.funnel)
    assert events["order"] == 4 * len(completed) + 3 * len(disputed)
    assert events["fulfillment"] == 2 * len(completed)


def test_products_and_countries_are_sold_what_the_carts_hold(business: Business) -> None:
    ordered = [one for one in opened(300) if is_submitted(one, 0.5)]
    pieces: Counter[tuple[str, str]] = Counter()
    revenue: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in ordered:
        for line in one.cart_items:
            pieces[line.product_id, one.currency] += line.quantity
            revenue[line.product_id, one.currency] += line.quantity * line.price

    truth = reckoned(business, 300).truth()

    assert {(row.product_id, row.currency): row.pieces for row in truth.top_product} == pieces
    assert {(row.product_id, row.currency): row.revenue for row in truth.top_product} == revenue
    assert [row.revenue for row in truth.top_product] == sorted(revenue.values(), reverse=True)
    mirrors = {row.currency: row.orders for row in truth.top_product if row.product_id == "oak-mirror"}
    assert mirrors == Counter(one.currency for one in ordered), "two lines of a cart are one order"
    assert sum(row.orders for row in truth.country) == len(ordered)
    assert sum(row.revenue for row in truth.country) == sum(one.total_amount for one in ordered)


def test_every_life_is_legal_and_comes_to_its_end(business: Business) -> None:
    rules = business.rules()
    lifecycles = {lifecycle.topic: lifecycle for lifecycle in LIFECYCLES}
    for checkout in opened(200):
        latest: dict[str, StrEnum] = {}
        for event in life(rules, checkout):
            assert lifecycles[event.topic].allows(latest.get(event.topic), event.status)
            latest[event.topic] = event.status
        assert all(lifecycles[topic].is_final(status) for topic, status in latest.items() if topic != "checkout")


def test_what_the_opener_has_entered_already_stays(business: Business) -> None:
    reckoning = Reckoning(business.rules())
    for number in range(50):
        reckoning.add(samples.checkout(number, CheckoutStatus.CREATED))

    assert [row.country for row in reckoning.truth().country] == [samples.ADDRESS.country]


def test_20k_checkouts_convert_and_are_disputed_as_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVERSION", "0.07")
    monkeypatch.setenv("DISPUTE_RATE", "0.05")

    truth = reckoned(Business.load(), 20_000).truth()

    assert truth.checkout.conversion == pytest.approx(Decimal("0.07"), abs=Decimal("0.006"))
    assert truth.order_cohort.dispute_rate == pytest.approx(Decimal("0.05"), abs=Decimal("0.02"))


def test_the_settings_are_those_that_each_service_would_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for service, lines in {"checkout": "SEED=5\nCONVERSION=0.2", "order": "DISPUTE_RATE=0.4\nSEED=6"}.items():
        (tmp_path / service).mkdir()
        (tmp_path / service / ".env").write_text(lines)
    monkeypatch.setattr("truth.business.ROOT", tmp_path)
    for name in ("SEED", "CONVERSION", "CUSTOMERS", "DISPUTE_RATE"):
        monkeypatch.delenv(name, raising=False)

    assert Business.load().settings() == {
        "checkout": {"seed": 5, "conversion": 0.2, "customers": 2000},
        "order": {"seed": 6, "dispute_rate": 0.4},
        "fulfillment": {"seed": 1},
    }
    monkeypatch.setenv("SEED", "9")
    assert {each["seed"] for each in Business.load().settings().values()} == {9}


def test_neither_the_speed_nor_the_rate_changes_an_outcome(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEED", "1000")
    monkeypatch.setenv("CHECKOUT_RATE", "0")

    assert reckoned(Business.load(), 200).truth() == reckoned(business, 200).truth()


def test_another_seed_gives_another_truth(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", str(SEED + 1))

    assert reckoned(Business.load(), 200).truth() != reckoned(business, 200).truth()


def test_without_checkouts_there_are_no_shares(business: Business) -> None:
    truth = asdict(Reckoning(business.rules()).truth())

    assert [step["share"] for step in truth["funnel"]] == [None] * 3
    assert truth["checkout"]["conversion"] is None
    assert truth["order_cohort"]["completion"] is None
    assert truth["revenue"] == truth["top_product"] == truth["country"] == ()
    assert {row["events"] for row in truth["events"]} == {0}
