"""The rules of a checkout. The table below is the whole business of this service."""

from bisect import bisect
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import accumulate

from shop.contract.chance import Draw, draws, log_normal
from shop.contract.events import Checkout, Event, ShippingAddress
from shop.contract.lifecycle import CHECKOUT, CheckoutStatus
from shop.contract.rules import Rule, Rules

LEAVING: Mapping[CheckoutStatus, float] = {
    CheckoutStatus.ADDRESS_SUBMITTED: 0.55,
    CheckoutStatus.PAYMENT_METHOD_SUBMITTED: 0.27,
    CheckoutStatus.SUBMITTED: 0.18,
}
"""Which part each step has in the loss of shoppers: it is passed by ``conversion ** part``. The parts add up to 1,
so the steps multiply to the conversion whatever that is. At 7 % the steps keep 23, 49 and 62 % of who reach them."""

THINKING_SECONDS: Mapping[CheckoutStatus, float] = {
    CheckoutStatus.ADDRESS_SUBMITTED: 2.5,
    CheckoutStatus.PAYMENT_METHOD_SUBMITTED: 2.0,
    CheckoutStatus.SUBMITTED: 1.5,
}
"""Median time that a shopper takes for each step: short, so that somebody who watches soon sees an order."""
THINKING_SIGMA = 0.6
"""Spread of that time (log-normal): one shopper in twenty takes more than 2.7 times the median."""

PAYMENT_METHODS: Mapping[str, float] = {
    "credit_card": 0.40,
    "paypal": 0.30,
    "invoice": 0.15,
    "sepa_direct_debit": 0.10,
    "gift_card": 0.05,
}
"""Share of shoppers who choose each."""


def checkout_rules(
    *, seed: int, speed: float, conversion: float, address_of: Callable[[str], ShippingAddress]
) -> Rules[Checkout]:
    """The rules of the checkout service: the share ``conversion`` (above 0, at most 1) of the checkouts is submitted.

    ``address_of`` gives the address of a user id, always the same.
    """
    created, submitted = CheckoutStatus.CREATED, CheckoutStatus.SUBMITTED
    address, payment = CheckoutStatus.ADDRESS_SUBMITTED, CheckoutStatus.PAYMENT_METHOD_SUBMITTED

    def step(before: CheckoutStatus, after: CheckoutStatus) -> Rule:
        return Rule("checkout", before, before, goes_on_to(after, conversion), thinking_time(after))

    table = (
        #    when it is  it becomes, unless the shopper leaves
        step(created, address),
        step(address, payment),
        step(payment, submitted),
    )

    def next_checkout(latest: Checkout | None, _trigger: Event, status: StrEnum, now: datetime) -> Checkout:
        """The checkout in its next status, with what the shopper enters in this step. What is there already stays:
        somebody else may have opened the checkout."""
        assert latest is not None, "a checkout is opened by an arrival, never by a rule"
        entered: dict[str, object] = {"status": status, "updated_at": now}
        if status is address:
            entered["shipping_address"] = latest.shipping_address or address_of(latest.user_id)
        elif status is payment:
            entered["payment_method"] = latest.payment_method or payment_method(draws(seed, latest.checkout_id))
        return latest.model_copy(update=entered)

    return Rules(CHECKOUT, table, entity_of=checkout_of, next_event=next_checkout, seed=seed, speed=speed)


def goes_on_to(step: CheckoutStatus, conversion: float) -> Callable[[Draw], CheckoutStatus | None]:
    """Asks whether the shopper takes the step; None: leaves."""
    question, passing = f"does the shopper go on to {step}?", conversion ** LEAVING[step]
    return lambda chance: step if chance(question) < passing else None


def thinking_time(step: CheckoutStatus) -> Callable[[Draw], float]:
    """Asks how many seconds the shopper takes for the step."""
    question, median = f"how long does {step} take?", THINKING_SECONDS[step]
    return lambda chance: log_normal(median, THINKING_SIGMA, chance(question))


def payment_method(chance: Draw) -> str:
    """Asks how the shopper pays."""
    methods, shares = list(PAYMENT_METHODS), list(accumulate(PAYMENT_METHODS.values()))
    return methods[bisect(shares[:-1], chance("how does the shopper pay?"))]


def checkout_of(event: Event) -> str:
    """The id of the checkout that an event is about."""
    assert isinstance(event, Checkout), "nothing else is read"
    return event.checkout_id
