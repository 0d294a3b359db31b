"""The KPIs of a shop whose every event is known, the commands around them, and who may do what."""

import json
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from analytics_service.kpi.kpis import ALL
from shop.contract.events import Event, Order, serialize
from shop.contract.lifecycle import OrderStatus
from tests.analytics.world import Shop, wait
from tools.kit.business import life

STEPS = [40, 25, 15, 10]
"""How many checkouts reach each step; number 0 is disputed, and all others that are submitted become COMPLETED."""


def open_shop(shop: Shop) -> None:
    """Stores the events of 40 checkouts, of which 10 become orders and one order waits for its shipment."""
    published: list[Event] = []
    for number in range(40):
        reached = sum(number < most for most in STEPS)
        events = list(life(number, reached))
        if number == 9:
            events = [
                event for event in events if event.status in {*list(OrderStatus)[:2]} or event.topic == "checkout"
            ]
        published += events
    shop.topics.publish(published)
    shop.topics.produce([("order", b"key", b"garbage")])
    service = shop.start()
    wait(lambda: shop.count() == len(shop.messages()), "everything")
    service.stop()


def test_the_kpis_are_what_happened(shop: Shop) -> None:
    open_shop(shop)
    done = shop.run("analytics_service.kpi", "--json", "--window", "10m")
    assert done.returncode == 0, done.stderr
    kpis = json.loads(done.stdout)
    assert [(step["entered"], step["went_on"]) for step in kpis["funnel"]] == list(pairwise(STEPS))
    assert kpis["checkout"]["conversion"] == 0.25
    counted = ("placed", "completed", "disputed", "completion", "dispute_rate", "in_flight")
    assert [kpis["order_cohort"][name] for name in counted] == [10, 8, 1, 0.8, 0.1, 1]
    placed = [next(event for event in life(number) if isinstance(event, Order)) for number in range(10)]
    revenue = float(sum(order.total_amount for order in placed))
    [euros] = kpis["revenue"]
    assert (euros["currency"], euros["orders"], euros["gross"]) == ("EUR", 10, revenue)
    assert [(row["dead_letters"], row["unsettled"]) for row in kpis["dead_letter"]] == [(1, 1)]
    assert {row["topic"]: row["events"] for row in kpis["events"]}["checkout"] == sum(STEPS)
    assert set(kpis) == {"window", "at", "lag", "dead_letters", *ALL}
    assert kpis["dead_letters"] == {"total": 1, "unsettled": 1}
    assert kpis["lag"] == 0
    shown = shop.run("analytics_service.kpi").stdout
    assert "AddressSubmitted" in shown
    assert "25.0%" in shown
    assert "in all 1 dead letters, 1 unsettled: mend the cause and make redrive" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert len(shown.splitlines()) <= 25


def test_the_table_is_printed_into_the_log(shop: Shop) -> None:
    published = shop.topics.publish(list(life(14)))
    service = shop.start(KPI_EVERY=1, KPI_WINDOW="30s")
    shop.wait_for(published)
    wait(lambda: service.says("checkouts created in the last 30 s"), "the table")
    as_json = shop.start(KPI_EVERY=1, LOG_FORMAT="json", INSTANCE="1")
    wait(lambda: as_json.says('"event": "kpis"'), "the line")
    for line in as_json.output().splitlines():
        assert json.loads(line)["service"] == "analytics"


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["--window", "11m"], {}, "KPI_WINDOW"),
        (["--window", "soon"], {}, "KPI_WINDOW"),
        ([], {"MARIADB_PASSWORD": "no"}, "MARIADB_PASSWORD"),
        ([], {"MARIADB_PORT": "1"}, "does not answer"),
    ],
)
def test_the_command_says_what_is_wrong(
    empty_shop: Shop, arguments: list[str], settings: dict[str, str], words: str
) -> None:
    done = empty_shop.run("analytics_service.kpi", *arguments, **settings)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_dead_letter_is_settled_by_a_fact_row(shop: Shop) -> None:
    """The fix is made here by making the dead letter valid, as root; a real one would change the contract."""
    events = list(life(1, 1))
    shop.topics.produce([("checkout", b"key", b"garbage"), ("checkout", b"key", b"more garbage")])
    shop.start()
    wait(lambda: shop.count("dead_letter") == 2, "the dead letters")
    with shop.root.connect() as connection:
        connection.execute(
            text("UPDATE dead_letter SET message_value = :value WHERE message_value = 'garbage'"),
            {"value": serialize(events[0])},
        )
        connection.commit()
    dry = shop.run("analytics_service.redrive", "--dry-run")
    assert dry.stdout.splitlines()[0] == "2 dead letters: 1 would be settled, 1 stay"
    assert shop.count("checkout") == 0
    real = shop.run("analytics_service.redrive")
    assert real.stdout.splitlines()[0] == "2 dead letters: 1 settled, 1 stay"
    assert "Invalid JSON" in real.stdout
    assert (shop.count("checkout"), shop.count("dead_letter")) == (1, 2)
    again = shop.run("analytics_service.redrive")
    assert again.stdout.splitlines()[0] == "1 dead letters: 0 settled, 1 stay"
    kpis = json.loads(shop.run("analytics_service.kpi", "--json").stdout)
    assert sum(row["dead_letters"] for row in kpis["dead_letter"]) == 2
    assert sum(row["unsettled"] for row in kpis["dead_letter"]) == 1
    assert kpis["dead_letters"] == {"total": 2, "unsettled": 1}


WRITES = {
    "INSERT": "INSERT INTO kafka_log (topic, topic_id, cluster_id) VALUES ('a', 'b', 'c')",
    "UPDATE": "UPDATE checkout SET total_amount = 0",
    "DELETE": "DELETE FROM dead_letter",
    "DROP": "DROP TABLE cart_item",
    "CREATE": "CREATE TABLE mine (x INT)",
}


@pytest.mark.claim("the tables are append-only", section="analytics", tried="not broken")
@pytest.mark.parametrize(
    ("user", "allowed"), [("user", set()), ("auditor", set()), ("analytics", {"INSERT"}), ("fulfillment", None)]
)
def test_the_tables_are_append_only(empty_shop: Shop, user: str, allowed: set[str] | None) -> None:
    if allowed is None:
        with pytest.raises(DBAPIError, match="denied"), empty_shop.engine(user).connect() as connection:
            connection.execute(text("SELECT 1"))
        return
    for kind, statement in WRITES.items():
        with empty_shop.engine(user).connect() as connection:
            if kind in allowed:
                connection.execute(text(statement))
            else:
                with pytest.raises(DBAPIError, match="denied"):
                    connection.execute(text(statement))


def test_nobody_is_anonymous(empty_shop: Shop) -> None:
    with empty_shop.root.connect() as connection:
        users = set(connection.execute(text("SELECT User FROM mysql.global_priv")).scalars())
    assert "" not in users


def test_tables_and_columns_say_what_they_are(empty_shop: Shop) -> None:
    with empty_shop.root.connect() as connection:
        silent = connection.execute(
            text(
                "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables "
                "USING (table_schema, table_name) WHERE table_schema = :database AND table_type = 'BASE TABLE' "
                "AND (column_comment = '' OR table_comment = '')"
            ),
            {"database": empty_shop.database},
        ).all()
    assert silent == []
