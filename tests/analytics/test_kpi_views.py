"""Each KPI view against facts made by hand, asked as ``user`` at a known time."""

import pytest

from analytics_service.kpi import kpis
from local.mariadb import MariaDB
from tests.analytics.facts import Facts, identifier, time

CREATED, ADDRESS, PAYMENT, SUBMITTED = "created", "AddressSubmitted", "PaymentMethodSubmitted", "CheckoutSubmitted"
NEW, ACCEPTED, SHIPPED, COMPLETED = "NEW", "MERCHANT_ACCEPTED", "SHIPPED", "COMPLETED"
DISPUTED, CANCELLED = "DISPUTED", "CANCELLED"


def counts(facts: Facts, window: int = 600) -> list[tuple[int, int]]:
    """What entered each step of the funnel and what went on."""
    return [(step["entered"], step["went_on"]) for step in facts.view("funnel", window)]


def test_an_empty_database_has_no_shares(facts: Facts) -> None:
    now = facts.read().as_json()
    assert [(step["entered"], step["dropped"], step["share"]) for step in now["funnel"]] == [(0, 0, None)] * 3
    assert now["checkout"] == {"created": 0, "submitted": 0, "conversion": None, "abandoned": 0, "abandonment": None}
    assert (now["order"]["placed"], now["order"]["completion"], now["order"]["dispute_activity"]) == (0, None, None)
    shares = ("completion", "dispute_rate", "cancellation_rate")
    assert [now["order_cohort"][share] for share in shares] == [None] * 3
    assert now["customer"] == {"customers": 0, "returning_customers": 0, "share": None}
    assert [(step["step"], step["entities"], step["p50"]) for step in now["duration"]] == [
        (step, 0, None) for step in ("checkout", "accept", "ship", "deliver")
    ]
    assert [(row["events"], row["per_second"], row["newest"], row["freshness_seconds"]) for row in now["events"]] == [
        (0, 0, None, None)
    ] * 3
    assert now["dead_letters"] == {"total": 0, "unsettled": 0}
    others = set(now) - {
        "window",
        "at",
        "lag",
        "dead_letters",
        "funnel",
        "checkout",
        "order",
        "order_cohort",
        "customer",
    }
    assert [now[name] for name in others - {"duration", "events"}] == [[]] * (len(others) - 2)


def test_no_view_is_forgotten(facts: Facts, mariadb: MariaDB) -> None:
    made = mariadb.execute(f"SHOW TABLES IN {facts.database} LIKE 'kpi\\_%'").split()
    assert {name.removeprefix("kpi_") for name in made if name.startswith("kpi_")} == set(kpis.ALL)


def test_a_checkout_that_skipped_a_step_is_lost_there(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 50), (ADDRESS, 40), (PAYMENT, 30), (SUBMITTED, 20))
    facts.checkout(2, (CREATED, 50), (PAYMENT, 30), (SUBMITTED, 20))
    facts.checkout(3, (CREATED, 50), (ADDRESS, 40), (SUBMITTED, 20))
    facts.checkout(4, (ADDRESS, 40), (PAYMENT, 30), (SUBMITTED, 20))
    assert facts.view("funnel") == [
        {"step_no": 1, "status": ADDRESS, "entered": 3, "went_on": 2, "dropped": 1, "share": 0.6667},
        {"step_no": 2, "status": PAYMENT, "entered": 2, "went_on": 1, "dropped": 1, "share": 0.5},
        {"step_no": 3, "status": SUBMITTED, "entered": 1, "went_on": 1, "dropped": 0, "share": 1},
    ]


def test_a_checkout_counts_once_in_the_funnel(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 50), (CREATED, 49), (CREATED, 49), (ADDRESS, 40), (ADDRESS, 39))
    assert counts(facts) == [(1, 1), (1, 0), (0, 0)]
    assert facts.view("checkout")[0]["created"] == 1


@pytest.mark.parametrize(
    "key", [None, "7d444840-9dc0-11d1-b245-5ffdce74fad2", "f47ac10b-58cc-4372-a567-0e02b2c3d479"]
)
def test_a_checkout_belongs_to_the_window_of_its_first_created(facts: Facts, key: str | None) -> None:
    facts.checkout(-1, (CREATED, 601), (CREATED, 50), (ADDRESS, 40), key=key)
    assert counts(facts) == [(0, 0), (0, 0), (0, 0)]
    assert facts.view("checkout")[0]["created"] == 0


def test_a_later_step_s_message_that_came_first_takes_nothing_away(facts: Facts) -> None:
    facts.checkout(-1, (ADDRESS, 60), (CREATED, 50))
    facts.checkout(-2, (ADDRESS, 700), (CREATED, 50))
    assert counts(facts)[0] == (2, 1)


@pytest.mark.parametrize("key", ["7d444840-9dc0-11d1-b245-5ffdce74fad2", "f47ac10b-58cc-4372-a567-0e02b2c3d479"])
def test_an_id_that_tells_no_time_counts_as_well(facts: Facts, key: str) -> None:
    facts.checkout(1, (CREATED, 50), (CREATED, 45), (ADDRESS, 40), key=key)
    assert counts(facts) == [(1, 1), (1, 0), (0, 0)]


def test_the_window_is_as_long_as_the_session_says(facts: Facts) -> None:
    facts.checkout(-1, (CREATED, 600))
    facts.checkout(1, (CREATED, 59))
    facts.checkout(-2, (CREATED, 600.001))
    assert counts(facts)[0] == (2, 0)
    assert counts(facts, window=60)[0] == (1, 0)
    assert counts(facts, window=3600)[0] == (2, 0)


def test_conversion_is_of_activity_and_abandonment_of_the_cohort(facts: Facts) -> None:
    facts.checkout(-1, (CREATED, 700), (SUBMITTED, 20))
    facts.checkout(-2, (CREATED, 700), (SUBMITTED, 20), (SUBMITTED, 10))
    facts.checkout(1, (CREATED, 50), (SUBMITTED, 20))
    facts.checkout(2, (CREATED, 50), (ADDRESS, 20))
    facts.checkout(-3, (CREATED, 700), (ADDRESS, 20))
    assert facts.view("checkout") == [
        {"created": 2, "submitted": 3, "conversion": 1.5, "abandoned": 1, "abandonment": 0.5}
    ]


def test_dispute_activity_is_not_the_dispute_rate(facts: Facts) -> None:
    for number in (-1, -2, -3):
        facts.order(number, (NEW, 700), (DISPUTED, 100))
    facts.order(-4, (NEW, 700), (ACCEPTED, 690), (SHIPPED, 90), (COMPLETED, 80))
    facts.order(1, (NEW, 100), (DISPUTED, 90), (CANCELLED, 80))
    facts.order(2, (NEW, 100), (ACCEPTED, 90))
    happened = {"placed": 2, "accepted": 1, "disputed": 4, "cancelled": 1, "shipped": 1, "completed": 1}
    assert facts.view("order") == [{**happened, "completion": 0.5, "dispute_activity": 2}]
    assert facts.view("order_cohort") == [
        {
            **{"placed": 2, "disputed": 1, "cancelled": 1, "completed": 0, "in_flight": 1},
            **{"completion": 0, "dispute_rate": 0.5, "cancellation_rate": 0.5},
        }
    ]


def test_repeated_and_illegal_messages_of_an_order_change_little(facts: Facts) -> None:
    """What is over stays over, and a repetition is no second order."""
    facts.order(1, (NEW, 50), (NEW, 49), (ACCEPTED, 40), (SHIPPED, 30), (COMPLETED, 20), (COMPLETED, 19))
    facts.order(1, (DISPUTED, 10))
    facts.order(-1, (NEW, 4000), (NEW, 50))
    [cohort] = facts.view("order_cohort")
    assert [cohort[name] for name in ("placed", "completed", "disputed", "in_flight")] == [1, 1, 1, 0]
    [order] = facts.view("order")
    assert [order[name] for name in ("placed", "completed", "disputed")] == [1, 1, 1]
    [revenue] = facts.view("revenue")
    assert [revenue[name] for name in ("orders", "gross", "disputed", "completed")] == [1, 10, 10, 10]
    assert facts.view("open_order") == []


def test_revenue_is_per_currency(facts: Facts) -> None:
    small, large = facts.cart(1, ("cup", 1, "10.00")), facts.cart(2, ("cup", 2, "5.00"), ("lamp", 3, "7.50"))
    facts.order(1, (NEW, 50), (NEW, 50), (DISPUTED, 40), total_amount="10.00", cart_id=small)
    facts.order(2, (NEW, 50), (ACCEPTED, 40), (COMPLETED, 30), total_amount="32.50", cart_id=large)
    facts.order(3, (NEW, 50), total_amount="99.99", currency="GBP", cart_id=small)
    facts.order(-4, (NEW, 700), (COMPLETED, 40), total_amount="1000.00")
    euros = {"currency": "EUR", "orders": 2, "gross": 42.5, "disputed": 10, "completed": 32.5}
    pounds = {"currency": "GBP", "orders": 1, "gross": 99.99, "disputed": 0, "completed": 0}
    assert facts.view("revenue") == [
        {**pounds, "average_order_value": 99.99, "items_per_order": 1},
        {**euros, "average_order_value": 21.25, "items_per_order": 3},
    ]


def test_products_are_ranked_by_revenue(facts: Facts) -> None:
    first = facts.cart(1, ("cup", 1, "10.00"), ("lamp", 2, "50.00"), ("cup", 3, "10.00"))
    facts.order(1, (NEW, 50), (NEW, 49), cart_id=first)
    facts.order(2, (NEW, 50), (ACCEPTED, 40), cart_id=facts.cart(2, ("cup", 1, "8.00")))
    facts.order(3, (NEW, 50), cart_id=first, currency="GBP")
    facts.order(-4, (NEW, 700), (NEW, 40), cart_id=first)
    assert facts.view("top_product") == [
        {"product_id": "lamp", "currency": "EUR", "orders": 1, "pieces": 2, "revenue": 100},
        {"product_id": "lamp", "currency": "GBP", "orders": 1, "pieces": 2, "revenue": 100},
        {"product_id": "cup", "currency": "EUR", "orders": 2, "pieces": 5, "revenue": 48},
        {"product_id": "cup", "currency": "GBP", "orders": 1, "pieces": 4, "revenue": 40},
    ]


def test_the_top_products_are_twenty(facts: Facts) -> None:
    facts.order(1, (NEW, 50), cart_id=facts.cart(1, *((f"p{n}", 1, f"{n}.00") for n in range(1, 24))))
    assert [row["product_id"] for row in facts.view("top_product")] == [f"p{n}" for n in range(23, 3, -1)]


def test_countries_are_those_of_the_shipping_address(facts: Facts) -> None:
    germany, france = facts.address("DE"), facts.address("FR")
    facts.order(1, (NEW, 50), (NEW, 49), (ACCEPTED, 40), address_id=germany)
    facts.order(2, (NEW, 50), address_id=france, total_amount="20.00")
    facts.order(3, (NEW, 50), address_id=france, total_amount="30.00")
    facts.order(4, (NEW, 50), address_id=france, currency="GBP")
    facts.order(-5, (NEW, 700), (NEW, 40), address_id=france)
    assert facts.view("country") == [
        {"country": "DE", "currency": "EUR", "orders": 1, "revenue": 10},
        {"country": "FR", "currency": "EUR", "orders": 2, "revenue": 50},
        {"country": "FR", "currency": "GBP", "orders": 1, "revenue": 10},
    ]


def test_customers_return_with_another_order(facts: Facts) -> None:
    again, twice, once, repeated, gone = (identifier(number) for number in range(5))
    facts.order(-1, (NEW, 90_000), user_id=again)
    facts.order(1, (NEW, 50), user_id=again)
    facts.order(2, (NEW, 60), user_id=twice)
    facts.order(3, (NEW, 50), user_id=twice)
    facts.order(4, (NEW, 50), (ACCEPTED, 40), user_id=once)
    facts.order(-7, (ACCEPTED, 700), user_id=once)
    facts.order(5, (NEW, 50), (NEW, 40), user_id=repeated)
    facts.order(-6, (NEW, 700), (ACCEPTED, 40), user_id=gone)
    assert facts.view("customer") == [{"customers": 4, "returning_customers": 2, "share": 0.5}]


def test_freshness_is_the_age_of_the_newest_message_however_old(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 20), (CREATED, 15), (ADDRESS, 10))
    facts.order(-1, (NEW, 700))
    found = {
        row["topic"]: (row["events"], row["per_second"], row["freshness_seconds"]) for row in facts.view("events")
    }
    assert found == {"checkout": (3, 0.15, 10), "order": (0, 0, 700), "fulfillment": (0, 0, None)}


def test_dead_letters_are_counted_by_reason_and_settled_by_a_fact(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 20))
    facts.order(1, (NEW, 20))
    for log, offset, reason, at in ((1, 0, "bad", 10), (1, 7, "bad", 10), (2, 1, "worse", 10), (3, 1, "bad", 700)):
        topic_partition = {"log_id": log, "kafka_partition": 0, "kafka_offset": offset}
        facts.insert("dead_letter", {**topic_partition, "reason": reason, "received_at": time(at)})
    assert facts.view("dead_letter") == [
        {"reason": "bad", "dead_letters": 2, "unsettled": 1},
        {"reason": "worse", "dead_letters": 1, "unsettled": 0},
    ]


def test_series_have_a_row_per_bucket(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 70), (SUBMITTED, 60.001))
    facts.checkout(2, (CREATED, 60))
    facts.checkout(-3, (CREATED, 700))
    facts.order(1, (NEW, 70), (DISPUTED, 65), (CANCELLED, 55), total_amount="1.50")
    facts.order(2, (NEW, 61), (COMPLETED, 9), total_amount="2.00")
    facts.order(3, (NEW, 62), currency="GBP")
    at = {seconds: f"2027-01-15T{time(seconds):%H:%M:%S}Z" for seconds in (120, 70, 60, 10)}
    now = facts.read().as_json()
    assert now["checkout_10s"] == [
        {"at": at[70], "created": 1, "submitted": 1},
        {"at": at[60], "created": 1, "submitted": 0},
    ]
    assert now["checkout_minute"] == [
        {"at": at[120], "created": 1, "submitted": 1},
        {"at": at[60], "created": 1, "submitted": 0},
    ]
    assert now["order_10s"] == [
        {"at": at[70], "placed": 3, "disputed": 1, "cancelled": 0, "completed": 0},
        {"at": at[60], "placed": 0, "disputed": 0, "cancelled": 1, "completed": 0},
        {"at": at[10], "placed": 0, "disputed": 0, "cancelled": 0, "completed": 1},
    ]
    assert now["order_minute"] == [
        {"at": at[120], "placed": 3, "disputed": 1, "cancelled": 0, "completed": 0},
        {"at": at[60], "placed": 0, "disputed": 0, "cancelled": 1, "completed": 1},
    ]
    for bucket, start in (("10s", at[70]), ("minute", at[120])):
        assert now[f"revenue_{bucket}"] == [
            {"at": start, "currency": "EUR", "orders": 2, "gross": 3.5},
            {"at": start, "currency": "GBP", "orders": 1, "gross": 10},
        ]
    assert [(row["at"], row["topic"], row["events"]) for row in now["events_10s"]] == [
        (at[70], "checkout", 2),
        (at[70], "order", 4),
        (at[60], "checkout", 1),
        (at[60], "order", 1),
        (at[10], "order", 1),
    ]
    assert [(row["at"], row["topic"], row["events"]) for row in now["events_minute"]] == [
        (at[120], "checkout", 2),
        (at[120], "order", 4),
        (at[60], "checkout", 1),
        (at[60], "order", 2),
    ]


def test_the_session_s_time_zone_does_not_matter(facts: Facts) -> None:
    facts.checkout(1, (CREATED, 70), (SUBMITTED, 60))
    assert facts.read(zone="+05:17").views == facts.read().views
