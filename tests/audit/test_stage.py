"""The auditor on real topics and tables: what the real service stored is clean, and every damage is named."""

import json
from decimal import Decimal

import pytest

from analytics_service.audit import Coordinates, audit, topics
from local.server import free_port
from shop.contract.events import CartItem, ShippingAddress
from shop.contract.lifecycle import CheckoutStatus, OrderStatus
from shop.runtime.errors import Unavailable, UserError
from tests.audit.stage import Stage, TopicPartition
from tests.audit.world import CHECKED_OUT, COMPLETED

LOG = "log_id = (SELECT log_id FROM kafka_log WHERE topic = '{}')"
FIRST = LOG.format("order") + " AND kafka_partition = 0 AND kafka_offset = 0"
CART = f"cart_id = (SELECT cart_id FROM `order` WHERE {FIRST})"
LETTER = LOG.format("order") + " AND kafka_partition = 0"
WITH_THE_CART: list[tuple[str, int | None, int | None]] = [
    *(("checkout", 0, offset) for offset in range(4)),
    *(("order", 0, offset) for offset in range(4)),
]


def saved(table: str, where: str, damage: str) -> tuple[str, str]:
    """A damage to some rows, and how to repair it."""
    return (
        f"CREATE TABLE saved AS SELECT * FROM {table} WHERE {where}; {damage}",
        f"REPLACE INTO {table} SELECT * FROM saved; DROP TABLE saved",
    )


def copied(table: str, where: str, changed: str) -> tuple[str, str]:
    """A copy of a row that differs in its coordinates, and how to remove it."""
    return (
        f"CREATE TABLE saved AS SELECT * FROM {table} WHERE {where}; UPDATE saved SET {changed}; "
        f"INSERT INTO {table} SELECT * FROM saved",
        f"DELETE FROM {table} WHERE {changed.replace(', ', ' AND ')}; DROP TABLE saved",
    )


AWKWARD = [
    "\0\x01\x1f\x7f",
    "\t\n\r\f\b",
    "\" ' ` \\ \\N / \\u0",
    "%s %% :name {0}",
    "ß 中文 \u2028\ufeff\u00a0",
    "\U0001f600\U0010ffff",
    " spaces ",
    "null",
]
DAMAGES = {
    "a row is gone": (
        saved("`order`", FIRST, f"DELETE FROM `order` WHERE {FIRST}"),
        {"stored": [("order", 0, 0)]},
    ),
    "a row beyond the end of the topic": (
        copied("`order`", FIRST, "kafka_offset = 1000"),
        {"stored": [("order", 0, 1000)]},
    ),
    "a row of a partition that is not there": (
        copied("`order`", FIRST, "kafka_partition = 77"),
        {"stored": [("order", None, None)]},
    ),
    "a row of a log that nobody knows": (
        copied("`order`", FIRST, "log_id = 999"),
        {"stored": [("order", None, None)]},
    ),
    "a row of another topic": (
        copied("fulfillment", LOG.format("fulfillment") + " LIMIT 1", "log_id = 1, kafka_partition = 0"),
        {"stored": [("checkout", None, None)]},
    ),
    "a field is changed": (
        saved("`order`", FIRST, f"UPDATE `order` SET total_amount = 1.23 WHERE {FIRST}"),
        {"fields": [("order", 0, 0)]},
    ),
    "a time stamp is changed": (
        saved("`order`", FIRST, f"UPDATE `order` SET kafka_timestamp = '2300-01-01' WHERE {FIRST}"),
        {"fields": [("order", 0, 0)]},
    ),
    "a price in a cart is changed": (
        saved("cart_item", CART, f"UPDATE cart_item SET price = 1.23 WHERE {CART}"),
        {"fields": WITH_THE_CART},
    ),
    "a cart is gone": (
        saved("cart_item", CART, f"DELETE FROM cart_item WHERE {CART}"),
        {"fields": WITH_THE_CART},
    ),
    "a dead letter is gone": (
        saved("dead_letter", LETTER, f"DELETE FROM dead_letter WHERE {LETTER}"),
        {"stored": [("order", 0, 8)]},
    ),
    "a dead letter is changed": (
        saved("dead_letter", LETTER, f"UPDATE dead_letter SET message_value = 'JSON' WHERE {LETTER}"),
        {"fields": [("order", 0, 8)]},
    ),
}


def test_what_the_service_stored_is_clean(stored: Stage) -> None:
    report = stored.audit(settled=True)
    assert report.clean, str(report)
    assert report.messages == 2 * 10 + 7 + 2 + 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_named(stored: Stage, damage: str) -> None:
    (harm, repair), broken = DAMAGES[damage]
    stored.sql(harm)
    try:
        assert stored.broken() == broken
    finally:
        stored.sql(repair)


def test_a_damage_to_the_table_of_fulfillment_is_named(stored: Stage) -> None:
    table = f"{stored.names.fulfillment}.fulfillment"
    stored.sql(f"UPDATE {table} SET status = 'SHIPPED' LIMIT 1")
    ((rule, topic_partitions),) = stored.broken().items()
    assert (rule, len(topic_partitions)) == ("projection", 1)
    stored.sql(f"DELETE FROM {table}")
    assert {rule: len(topic_partitions) for rule, topic_partitions in stored.broken().items()} == {"projection": 2}
    stored.project()
    assert stored.broken() == {}


def test_people_and_programs_are_told(stored: Stage) -> None:
    clean = stored.command("--settled")
    assert clean.returncode == 0, clean.stderr
    assert "clean: 31 messages" in clean.stdout
    assert "2 dead letters, 2 unsettled: mend the cause, then make redrive" in clean.stdout
    (harm, repair), _ = DAMAGES["a row is gone"]
    stored.sql(harm)
    try:
        broken = stored.command("--settled", "--json")
        (stored.folder / "expected.csv").write_text("rule,topic,partition,offset\nstored,order,0,0\n")
        expected = stored.command("--settled", "--expect", "expected.csv")
    finally:
        stored.sql(repair)
    assert broken.returncode == 1, broken.stderr
    assert json.loads(broken.stdout)["rules"]["stored"]["violations"][0]["offset"] == 0
    assert expected.returncode == 0, expected.stdout + expected.stderr
    assert "1 of 1 expected violations found" in expected.stdout
    unmet = stored.command("--settled", "--expect", "expected.csv")
    assert unmet.returncode == 1
    assert "a violation of 'stored' was injected at order/0@0, but not found" in " ".join(unmet.stdout.split())


def test_what_was_injected_is_named_by_its_coordinates(stage: Stage) -> None:
    stage.live(0, *COMPLETED)
    stage.live(1, *CHECKED_OUT)
    injected = [
        Coordinates("once", *stage.live(0, CheckoutStatus.CREATED)[0]),
        Coordinates("legal", *stage.live(0, OrderStatus.DISPUTED)[0]),
        Coordinates("order", *stage.live(4, *COMPLETED[4:])[0]),
        Coordinates("order", "checkout", 1, 3),
    ]
    stage.store()
    report = stage.audit(*injected, settled=True)
    assert report.clean, str(report)
    assert not stage.audit(*injected[1:], settled=True).clean


def test_awkward_content_comes_back(stage: Stage) -> None:
    for number, text in enumerate(AWKWARD):
        prices = (Decimal("0.01"), Decimal("99999999.99"), Decimal("0.01"))
        items = tuple(CartItem(product_id=text, quantity=65_535, price=price) for price in prices)
        address = ShippingAddress(name=text, street=text, zip=text, city=text, country="DE")
        event = stage.world.checkout(number, CheckoutStatus.CREATED)
        changes = {"cart_items": items, "shipping_address": address, "total_amount": Decimal("9999999999.99")}
        stage.publish(event.model_copy(update={**changes, "payment_method": text, "updated_at": None}), 0)
    stage.store()
    report = stage.audit(settled=True)
    assert report.clean, str(report)
    assert report.messages == len(AWKWARD)


def test_what_retention_removed_is_forgotten(stage: Stage) -> None:
    stage.live(0, *COMPLETED)
    lost = stage.live(3, *COMPLETED)
    stage.live(6, *COMPLETED)
    stuck = stage.live(9, *COMPLETED[:-1])[-1]
    stage.store()
    assert stage.broken() == {"settled": [stuck]}
    for number, topic_partition in enumerate((lost[2], lost[6], lost[7])):
        stage.forget(topic_partition)
        assert stage.broken() == {"settled": [stuck]}, number


@pytest.mark.parametrize("topic", ["checkout", "order"])
def test_what_lay_in_a_topic_that_was_recreated_is_forgotten(stage: Stage, topic: str) -> None:
    stage.live(0, *COMPLETED[:-1])
    stage.live(3, *COMPLETED)
    stage.store()
    assert stage.broken().keys() == {"settled"}
    stage.delete(topic)
    stage.create(topic)
    stage.live(6, *COMPLETED)
    stuck = stage.live(9, *COMPLETED[:-1])[-1]
    stage.store()
    report = stage.audit(settled=True)
    assert stage.broken() == {"settled": [stuck]}, str(report)
    assert any(f"topic {topic} was deleted and recreated" in note for note in report.notes)


def test_an_open_transaction_is_waited_for(stage: Stage) -> None:
    stage.live(0, *COMPLETED[:-1])
    stage.begin(0, COMPLETED[-1])
    said: list[str] = []

    def end_it(sentence: str) -> None:
        said.append(sentence)
        stage.transactional.commit_transaction(10)

    report = stage.audit(say=end_it)
    assert said == ["open transactions hide 1 offsets: waiting 30 s at most"]
    assert report.messages == len(COMPLETED)


def test_an_open_transaction_is_not_waited_for_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "TRANSACTION_SECONDS", 0.3)
    stage.live(0, *COMPLETED[:-1])
    stage.begin(0, COMPLETED[-1])
    report = stage.audit()
    hidden = "an open transaction hides offsets 3 to 3: they are not audited"
    assert report.messages == len(COMPLETED) - 1
    assert f"order/0: {hidden}" in report.notes
    assert ("order", 0, 3) in stage.broken()["settled"]
    stage.transactional.abort_transaction(10)
    assert stage.audit().messages == len(COMPLETED) - 1


def test_what_cannot_be_reached_is_one_sentence(stage: Stage) -> None:
    def changed(**settings: object) -> TopicPartition | None:
        audit(stage.settings.model_copy(update=settings))
        return None

    with pytest.raises(Unavailable, match=r"Kafka at .* does not answer"):
        changed(kafka_bootstrap=f"[::1]:{free_port()}")
    with pytest.raises(Unavailable, match=r"MariaDB at .* does not answer"):
        changed(mariadb_port=free_port())
    with pytest.raises(UserError, match="MARIADB_PASSWORD"):
        changed(mariadb_password="wrong")
    with pytest.raises(UserError, match=r"SELECT command denied|Unknown database"):
        changed(fulfillment_database="nowhere")
    with pytest.raises(UserError, match=r"has no topic nowhere\.checkout, .*: run"):
        changed(namespace="nowhere.")


def test_wrong_settings_end_with_2(stage: Stage) -> None:
    wrong = stage.command(MARIADB_PORT="99999")
    assert wrong.returncode == 2
    assert "MARIADB_PORT" in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    away = stage.command(MARIADB_PORT=str(free_port()))
    assert away.returncode == 2
    assert "does not answer" in away.stderr
