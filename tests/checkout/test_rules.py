from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from checkout_service.rules import LEAVING, PAYMENT_METHODS, checkout_rules
from shop.contract.events import Checkout, ShippingAddress, parse, serialize
from shop.contract.lifecycle import CHECKOUT, CheckoutStatus
from shop.contract.rules import Rules
from tools.kit import samples

CREATED, SUBMITTED = CheckoutStatus.CREATED, CheckoutStatus.SUBMITTED
ADDRESS, PAYMENT = CheckoutStatus.ADDRESS_SUBMITTED, CheckoutStatus.PAYMENT_METHOD_SUBMITTED


def address_of(user_id: str) -> ShippingAddress:
    return samples.ADDRESS.model_copy(update={"name": user_id})


def rules(conversion: float = 0.07, seed: int = 1, speed: float = 1.0) -> Rules[Checkout]:
    return checkout_rules(seed=seed, speed=speed, conversion=conversion, address_of=address_of)


def created(number: int) -> Checkout:
    empty = {"shipping_address": None, "payment_method": None}
    return samples.checkout(number, CREATED).model_copy(update=empty)


def life(of: Rules[Checkout], checkout: Checkout) -> Iterator[Checkout]:
    """The checkout in every status that it reaches."""
    yield checkout
    while transition := of.transition(checkout):
        assert transition.needs is checkout.status
        if transition.becomes is None:
            return
        now = (checkout.updated_at or checkout.created_at) + timedelta(seconds=transition.delay)
        checkout = of.next_event(checkout, checkout, transition.becomes, now)
        yield checkout


def last_statuses(of: Rules[Checkout], count: int) -> Counter[str]:
    """How many of ``count`` checkouts end in each status."""
    template, last = created(0), Counter[str]()
    for number in range(count):
        *_, end = life(of, template.model_copy(update={"checkout_id": f"checkout {number}"}))
        last[end.status] += 1
    return last


def test_100k_checkouts_convert_as_set_and_most_who_leave_do_so_at_the_address() -> None:
    last = last_statuses(rules(), 100_000)

    assert last[SUBMITTED] / 100_000 == pytest.approx(0.07, abs=0.003)
    assert last[CREATED] > 0.5 * 93_000
    assert last[CREATED] > last[ADDRESS] > last[PAYMENT] > 0


@pytest.mark.parametrize("conversion", [0.001, 0.3, 0.9])
def test_any_conversion_holds(conversion: float) -> None:
    share = last_statuses(rules(conversion), 20_000)[SUBMITTED] / 20_000

    assert share == pytest.approx(conversion, abs=4 * (conversion * (1 - conversion) / 20_000) ** 0.5)


def test_nobody_leaves_at_conversion_1() -> None:
    assert last_statuses(rules(1.0), 1000) == {SUBMITTED: 1000}


def test_the_parts_of_the_steps_in_the_loss_add_up_to_1() -> None:
    assert sum(LEAVING.values()) == pytest.approx(1)
    assert sum(PAYMENT_METHODS.values()) == pytest.approx(1)


def test_the_same_seed_decides_the_same_and_another_seed_something_else() -> None:
    def lives(seed: int) -> list[list[Checkout]]:
        return [list(life(rules(0.5, seed), created(number))) for number in range(200)]

    assert lives(1) == lives(1)
    assert lives(1) != lives(2)


def test_decisions_are_independent_of_the_conversion_of_others() -> None:
    """Who is submitted at 7 % is submitted at 50 % too: the questions stay the same."""

    def submitted(conversion: float) -> set[int]:
        return {n for n in range(2000) if list(life(rules(conversion), created(n)))[-1].status is SUBMITTED}

    assert submitted(0.07) < submitted(0.5)


def test_each_status_has_what_was_entered_by_then_and_reads_back_equal() -> None:
    events = list(life(rules(1.0), created(3)))

    assert [event.status for event in events] == [CREATED, ADDRESS, PAYMENT, SUBMITTED]
    assert [event.shipping_address for event in events] == [None, *[address_of(events[0].user_id)] * 3]
    assert [event.payment_method in PAYMENT_METHODS for event in events] == [False, False, True, True]
    assert len({event.payment_method for event in events[2:]}) == 1
    assert len({(event.cart_items, event.total_amount, event.created_at) for event in events}) == 1
    times = [event.updated_at for event in events if event.updated_at is not None]
    assert times == sorted(set(times))
    assert len(times) == 4
    assert [parse("checkout", serialize(event)) for event in events] == events


def test_what_somebody_else_has_entered_stays() -> None:
    foreign = samples.checkout(3, CREATED)

    *_, last = life(rules(1.0), foreign)

    assert last == foreign.model_copy(update={"status": SUBMITTED, "updated_at": last.updated_at})


def test_every_method_of_payment_is_chosen_as_often_as_its_share() -> None:
    chosen = Counter(list(life(rules(1.0), created(number)))[-1].payment_method for number in range(4000))

    assert {method: chosen[method] / 4000 for method in PAYMENT_METHODS} == pytest.approx(PAYMENT_METHODS, abs=0.03)


def test_a_shopper_thinks_for_seconds_and_speed_divides_that() -> None:
    template = created(0)

    def delays(speed: float) -> list[float]:
        transitions = [
            rules(1.0, speed=speed).transition(template.model_copy(update={"checkout_id": f"checkout {number}"}))
            for number in range(1001)
        ]
        return sorted(transition.delay for transition in transitions if transition is not None)

    normal, fast = delays(1), delays(100)
    assert normal[500] == pytest.approx(2.5, rel=0.1)
    assert normal[0] > 0.3
    assert normal[-1] < 60
    assert fast == pytest.approx([delay / 100 for delay in normal])


def test_every_row_is_a_legal_transition() -> None:
    table = rules(1.0).table

    assert {(rule.needs, rule.becomes(lambda _question: 0.5)) for rule in table if callable(rule.becomes)} == {
        (before, after) for before, following in CHECKOUT.transitions.items() for after in following
    }
    assert rules().inputs == ()
