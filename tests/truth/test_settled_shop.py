"""The truth beside what real services on a real Kafka and MariaDB made of the same checkouts."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.binaries import ROOT
from local.kafka import Kafka
from local.mariadb import MariaDB
from tests.truth.command import run_truth
from tools.kit.shop import Shop, wait_until

CHECKOUTS = 400
SETTINGS = {"SEED": "4711", "CONVERSION": "0.5", "DISPUTE_RATE": "0.2", "CUSTOMERS": "60"}

ROUNDED = {"average_order_value": 0.0051}
"""How far a figure may differ because it was rounded to cents."""

Figures = Mapping[str, Any]


@pytest.fixture(scope="module")
def shop(kafka: Kafka, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that has settled after several hundred checkouts."""
    shop = Shop(kafka, mariadb, tmp_path_factory.mktemp("shop"), speed=100.0, rate=100.0)
    shop.environment |= SETTINGS
    try:
        shop.start_all()
        wait_until(lambda: shop.statuses("checkout")["created"] >= CHECKOUTS, f"{CHECKOUTS} checkouts")
        shop.must_be_clean()
        yield shop
    finally:
        shop.close()


def truth(shop: Shop, *options: str) -> Figures:
    done = run_truth(shop.environment, "--json", *options)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def rows(shop: Shop, sql: str) -> list[tuple[Any, ...]]:
    """What the analytics database answers, numbers as numbers."""
    lines = shop.mariadb.execute(f"USE {shop.databases.analytics}; {sql}").splitlines()[1:]
    return [tuple(_value(cell) for cell in line.split("\t")) for line in lines]


def _value(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


def reached(shop: Shop, topic: str) -> dict[str, float]:
    """How many entities of a topic reached each status."""
    return dict(rows(shop, f"SELECT status, COUNT(*) FROM `{topic}` GROUP BY status"))


def columns(views: Figures, view: str, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in views[view]]


def test_the_funnel_is_what_the_checkouts_did(shop: Shop) -> None:
    said, stored = truth(shop), reached(shop, "checkout")

    statuses = ["created", "AddressSubmitted", "PaymentMethodSubmitted", "CheckoutSubmitted"]
    counts = [stored[status] for status in statuses]
    assert min(counts) > 0
    assert columns(said, "funnel", "step_no", "status", "entered", "went_on", "dropped") == [
        (number, statuses[number], counts[number - 1], counts[number], counts[number - 1] - counts[number])
        for number in (1, 2, 3)
    ]
    assert [step["share"] for step in said["funnel"]] == pytest.approx(
        [counts[number] / counts[number - 1] for number in (1, 2, 3)], abs=1e-4
    )
    created, done = counts[0], counts[-1]
    assert created >= CHECKOUTS
    assert said["checkout"] == {
        "created": created,
        "submitted": done,
        "conversion": pytest.approx(done / created, abs=1e-4),
        "abandoned": created - done,
        "abandonment": pytest.approx(1 - done / created, abs=1e-4),
    }


def test_the_orders_end_as_the_truth_says(shop: Shop) -> None:
    said, stored = truth(shop), reached(shop, "order")

    assert stored["DISPUTED"] > 0
    assert said["order_cohort"] == {
        "placed": stored["NEW"],
        "disputed": stored["DISPUTED"],
        "cancelled": stored["CANCELLED"],
        "completed": stored["COMPLETED"],
        "in_flight": 0,
        "completion": pytest.approx(stored["COMPLETED"] / stored["NEW"], abs=1e-4),
        "dispute_rate": pytest.approx(stored["DISPUTED"] / stored["NEW"], abs=1e-4),
        "cancellation_rate": pytest.approx(stored["CANCELLED"] / stored["NEW"], abs=1e-4),
    }


def test_the_amounts_are_right_to_the_cent(shop: Shop) -> None:
    said = truth(shop)

    assert columns(said, "revenue", "currency", "orders", "gross", "disputed", "completed") == rows(
        shop,
        """SELECT currency, SUM(status = 'NEW'), SUM(IF(status = 'NEW', total_amount, 0)),
                  SUM(IF(status = 'DISPUTED', total_amount, 0)), SUM(IF(status = 'COMPLETED', total_amount, 0))
           FROM `order` GROUP BY currency ORDER BY currency""",
    )
    pieces = rows(
        shop,
        "SELECT currency, SUM(quantity) FROM `order` JOIN cart_item USING (cart_id) WHERE status = 'NEW' "
        "GROUP BY currency ORDER BY currency",
    )
    for row, (currency, number) in zip(said["revenue"], pieces, strict=True):
        assert row["currency"] == currency
        assert row["items_per_order"] == pytest.approx(number / row["orders"], abs=1e-4)
        assert row["average_order_value"] == pytest.approx(row["gross"] / row["orders"], abs=0.0051)


def test_the_products_that_bring_most_are_those(shop: Shop) -> None:
    assert columns(truth(shop), "top_product", "product_id", "currency", "orders", "pieces", "revenue") == rows(
        shop,
        """SELECT product_id, currency, COUNT(DISTINCT order_id), SUM(quantity), SUM(quantity * price) AS revenue
           FROM `order` JOIN cart_item USING (cart_id) WHERE status = 'NEW'
           GROUP BY product_id, currency ORDER BY revenue DESC, product_id LIMIT 20""",
    )


def test_the_orders_go_to_these_countries(shop: Shop) -> None:
    assert columns(truth(shop), "country", "country", "currency", "orders", "revenue") == rows(
        shop,
        """SELECT country, currency, COUNT(*), SUM(total_amount)
           FROM `order` JOIN shipping_address USING (address_id) WHERE status = 'NEW'
           GROUP BY country, currency ORDER BY country, currency""",
    )


def test_every_topic_holds_as_many_events(shop: Shop) -> None:
    assert columns(truth(shop), "events", "topic", "events") == [
        (topic, sum(reached(shop, topic).values())) for topic in ("checkout", "order", "fulfillment")
    ]


def test_a_time_parts_the_checkouts_from_inclusive_to_exclusive(shop: Shop) -> None:
    (middle,) = rows(
        shop,
        f"""SELECT DATE_FORMAT(kafka_timestamp, '%Y-%m-%dT%H:%i:%s.%fZ') FROM checkout WHERE status = 'created'
            ORDER BY kafka_timestamp LIMIT 1 OFFSET {CHECKOUTS // 2}""",
    )[0]
    counted = "SELECT COUNT(*) FROM checkout WHERE status = 'created' AND kafka_timestamp"

    before, after = truth(shop, "--to", middle), truth(shop, "--from", middle)

    literal = middle.replace("T", " ").removesuffix("Z")
    assert [(before["checkout"]["created"],)] == rows(shop, f"{counted} < '{literal}'")
    assert [(after["checkout"]["created"],)] == rows(shop, f"{counted} >= '{literal}'")
    assert before["to"] == after["from"]
    whole = truth(shop)
    for name in ("placed", "disputed", "completed"):
        assert before["order_cohort"][name] + after["order_cohort"][name] == whole["order_cohort"][name]


def test_the_kpis_say_the_truth(shop: Shop) -> None:
    """As long as the run is younger than the window, all that it did is in the window."""
    done = subprocess.run(
        [sys.executable, "-m", "analytics_service.kpi", "--json", "--window", "10m"],
        cwd=ROOT / "analytics",
        env=shop.environment | {"MARIADB_DATABASE": shop.databases.analytics},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kpis, said = json.loads(done.stdout), truth(shop)

    for view in ("funnel", "checkout", "order_cohort", "revenue", "top_product", "country", "events"):
        for right, found in zip(in_order(said[view]), in_order(kpis[view]), strict=True):
            assert {name: found[name] for name in right} == {
                name: pytest.approx(value, abs=ROUNDED.get(name, 1e-4)) if isinstance(value, float) else value
                for name, value in right.items()
            }, view


def in_order(view: Any) -> list[Figures]:
    """The rows of a view, whatever order it gives them."""
    names = ("step_no", "topic", "product_id", "country", "currency")
    return sorted(
        [view] if isinstance(view, dict) else view, key=lambda row: [str(row[name]) for name in names if name in row]
    )
