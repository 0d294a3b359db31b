"""The KPI views while the clock is behind what is stored, as after a laptop's sleep: nothing counts too early."""

import pytest
from rich.console import Console

from analytics_service.kpi import kpis
from tests.analytics.facts import Facts, identifier, time

CREATED, ADDRESS, SUBMITTED = "created", "AddressSubmitted", "CheckoutSubmitted"
NEW, ACCEPTED, SHIPPED, COMPLETED = "NEW", "MERCHANT_ACCEPTED", "SHIPPED", "COMPLETED"
DISPUTED, CANCELLED, DELIVERED = "DISPUTED", "CANCELLED", "DELIVERED"
MADE_OF = ("checkout_in_window", "order_in_window", "order_placed_in_window", "open_order", "order_patience")
BACK = [2, 45, 3600, 86_400]
"""Seconds by which the clock was set back."""


def live(facts: Facts, number: int, ago: float) -> None:
    """What every view counts something of, some seconds ago, or ahead."""
    cart = facts.cart(number, ("cup", 2, "5.00"))
    address = {"address_id": f"01a20e2a-e071-8de2-a612-{1:012x}"}
    facts.checkout(number, (CREATED, ago), (ADDRESS, ago), (SUBMITTED, ago), cart_id=cart)
    steps = (NEW, ago), (ACCEPTED, ago), (SHIPPED, ago), (COMPLETED, ago)
    facts.order(number, *steps, cart_id=cart, user_id=identifier(number), **address)
    facts.order(number + 1, (NEW, ago), cart_id=cart, user_id=identifier(number), **address)
    facts.order(number + 2, (NEW, ago), (DISPUTED, ago), (CANCELLED, ago), cart_id=cart, **address)
    facts.fulfillment(number, (SHIPPED, ago), (DELIVERED, ago))
    topic_partition = {"log_id": 1, "kafka_partition": 1, "kafka_offset": number}
    facts.insert("dead_letter", {**topic_partition, "reason": "bad", "received_at": time(ago)})


def views(facts: Facts) -> dict[str, list[dict[str, object]]]:
    """The rows of every KPI view, without how far the clock is behind."""
    found = {name: [dict(row) for row in rows] for name, rows in facts.read().views.items()}
    for row in found["events"]:
        del row["ahead_seconds"]
    return found


@pytest.mark.claim("nothing that lies ahead of the clock counts in a KPI", section="analytics", tried="not broken")
@pytest.mark.parametrize("back", BACK)
def test_what_lies_ahead_of_the_clock_counts_in_no_view(facts: Facts, back: float) -> None:
    facts.address("DE")
    empty = views(facts)
    live(facts, 100, -back)
    assert views(facts) == empty
    with facts.writer.connect() as connection:
        connection.exec_driver_sql(f"SET timestamp = {time(0).timestamp()}")
        for view in MADE_OF:
            assert connection.exec_driver_sql(f"SELECT * FROM {view}").all() == [], view
        connection.exec_driver_sql("SET timestamp = DEFAULT")


@pytest.mark.parametrize("back", BACK)
def test_what_counts_is_the_same_with_and_without_what_lies_ahead(facts: Facts, back: float) -> None:
    facts.address("DE")
    live(facts, 1, 1.5)
    expected = views(facts)
    live(facts, 100, -back)
    assert views(facts) == expected


def test_freshness_is_never_negative_and_how_far_the_clock_is_behind_is_told(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 20), (ADDRESS, -3544))
    facts.order(1, (NEW, -7))
    found = {
        row["topic"]: (row["events"], row["freshness_seconds"], row["ahead_seconds"]) for row in facts.view("events")
    }
    assert found == {"checkout": (1, 20, 3544), "order": (0, None, 7), "fulfillment": (0, None, 0)}


def test_no_step_takes_less_than_no_time(facts: Facts) -> None:
    """It began before the clock was set back, and ended after it."""
    ahead = time(-3600)
    facts.checkout(1, (SUBMITTED, 20), created_at=ahead)
    facts.order(1, (ACCEPTED, 20), created_at=ahead)
    facts.fulfillment(1, (DELIVERED, 20), created_at=ahead)
    facts.order(2, (ACCEPTED, -3600))
    facts.order(2, (SHIPPED, 20))
    assert [(row["entities"], row["p50"]) for row in facts.view("duration")] == [(0, None)] * 4
    facts.order(3, (NEW, 30), (ACCEPTED, 20))
    assert [(row["entities"], row["p50"]) for row in facts.view("duration")][1] == (1, 10)


@pytest.mark.parametrize(
    ("ahead", "says"), [(3544, "up to 3,544 s ahead"), (2, "up to 2 s ahead"), (0.5, None), (-9, None)]
)
def test_the_console_says_that_the_clock_went_back(facts: Facts, ahead: float, says: str | None) -> None:
    facts.checkout(1, (CREATED, -ahead))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(kpis.table(facts.read()))
    shown = capture.get()
    assert ("the clock went back" in shown) == (says is not None)
    if says is not None:
        assert says in shown
    assert max(map(len, shown.splitlines())) <= 80
