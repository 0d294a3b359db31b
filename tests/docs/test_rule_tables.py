"""The table of rules in each README of a service is the one in its code: what is seen, what follows, and how soon."""

import re

import pytest

from checkout_service.rules import LEAVING, checkout_rules
from fulfillment_service.rules import fulfillment_rules
from local.paths import ROOT
from order_service.rules import order_rules
from shop.contract.events import ShippingAddress
from shop.contract.lifecycle import CheckoutStatus
from shop.contract.rules import Rule

CONVERSION = 0.07
NOT_THERE = "not there yet"


def no_address(user_id: str) -> ShippingAddress:
    raise NotImplementedError(user_id)


TABLES = {
    "checkout": checkout_rules(seed=1, speed=1.0, conversion=CONVERSION, address_of=no_address).table,
    "order": order_rules(seed=1, speed=1.0, dispute_rate=0.05).table,
    "fulfillment": fulfillment_rules(seed=1, speed=1.0).table,
}


def documented(service: str) -> list[list[str]]:
    """The cells of each row of the table."""
    text = (ROOT / service / "README.md").read_text()
    (table,) = re.findall(r"^\| when this is seen .*\n\|[ -|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


def seconds(rule: Rule, chance: float) -> float:
    """How long after the trigger it becomes so, by a chance between 0 and 1."""
    return rule.after(lambda _question: chance)


@pytest.mark.parametrize("service", TABLES)
def test_it_says_what_is_seen_and_what_it_becomes(service: str) -> None:
    rows = documented(service)
    for (seen, needs, becomes, _), rule in zip(rows, TABLES[service], strict=True):
        assert f"{rule.topic} `{rule.on}`" == seen if service != "checkout" else f"`{rule.on}`" == seen
        if service != "checkout":
            assert needs == (NOT_THERE if rule.needs is None else f"`{rule.needs}`")
        for status in [rule.becomes] if isinstance(rule.becomes, str) else []:
            assert becomes.startswith(f"`{status}`")


@pytest.mark.parametrize("service", TABLES)
def test_it_says_after_how_long(service: str) -> None:
    for (*_, after), rule in zip(documented(service), TABLES[service], strict=True):
        if after == "at once":
            assert seconds(rule, 0.5) == 0
        elif "uniform" in after:
            least, most = map(float, re.findall(r"\d+", after))
            assert (seconds(rule, 0.0), seconds(rule, 1.0)) == (least, most)
        else:
            assert seconds(rule, 0.5) == pytest.approx(float(after.split()[0]))


def test_it_says_how_many_shoppers_go_on() -> None:
    steps = [CheckoutStatus.ADDRESS_SUBMITTED, CheckoutStatus.PAYMENT_METHOD_SUBMITTED, CheckoutStatus.SUBMITTED]
    shares = [f"{CONVERSION ** LEAVING[step]:.0%}".replace("%", " %") for step in steps]
    assert [share for _, share, _, _ in documented("checkout")] == shares
    assert all(f"`{step}`" in becomes for step, (_, _, becomes, _) in zip(steps, documented("checkout"), strict=True))
