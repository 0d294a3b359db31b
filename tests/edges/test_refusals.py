"""What only a person can mend ends a service at once, with exit code 2 and one sentence that says what to mend."""

import pytest
from confluent_kafka.admin import NewPartitions  # type: ignore[attr-defined]

from tools.kit.real_world import REPLY
from tools.kit.samples import submitted
from tools.kit.shop import Shop, wait_until
from tools.kit.world import PARTITIONS

PUBLISHERS = ("checkout", "order", "fulfillment")


@pytest.mark.parametrize(
    ("service", "setting", "value"),
    [
        ("checkout", "CHECKOUT_RATE", "-1"),
        ("checkout", "CONVERSION", "much"),
        ("order", "DISPUTE_RATE", "2"),
        ("fulfillment", "MARIADB_PORT", "99999"),
        ("order", "SPEED", "0"),
        ("order", "INSTANCE", "a b"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(shop: Shop, service: str, setting: str, value: str) -> None:
    refused = shop.start(service, **{setting: value})  # type: ignore[arg-type]
    sentence = refused.sentence()
    assert setting in sentence
    assert value in sentence


def test_a_missing_topic_is_named(shop: Shop) -> None:
    name = f"{shop.world.namespace}order"
    shop.world.admin.delete_topics([name])[name].result(REPLY)
    wait_until(lambda: name not in shop.world.admin.list_topics(timeout=REPLY).topics, "the topic to be gone")
    for service in ("order", "fulfillment"):
        sentence = shop.start(service).sentence()
        assert name in sentence
        assert "init-kafka.sh" in sentence
    shop.world.create("order")


def test_topics_with_different_numbers_of_partitions_are_refused_at_start(shop: Shop) -> None:
    name = f"{shop.world.namespace}order"
    shop.world.admin.create_partitions([NewPartitions(name, PARTITIONS + 1)])[name].result(REPLY)
    wait_until(
        lambda: len(shop.world.admin.list_topics(name, timeout=REPLY).topics[name].partitions) > PARTITIONS,
        "the partition to be there",
    )
    assert "equally many partitions" in shop.start("order").sentence()


def test_a_wrong_password_is_refused_without_showing_it(shop: Shop) -> None:
    sentence = shop.start("fulfillment", MARIADB_PASSWORD="not-it").sentence()
    assert "MARIADB_PASSWORD" in sentence
    assert "not-it" not in sentence


def test_a_missing_database_is_named(shop: Shop) -> None:
    assert "MARIADB_DATABASE" in shop.start("fulfillment", MARIADB_DATABASE="nowhere").sentence()


@pytest.mark.claim(
    "an offset that retention removed is an error, and skipped only on demand", section="offsets", tried="not broken"
)
def test_offsets_that_retention_removed_are_loud_and_are_accepted_only_on_demand(shop: Shop) -> None:
    for number in range(6):
        shop.world.publish("checkout", 0, *submitted(number))
    shop.start("order", DISPUTE_RATE="0").until_logged("committed")
    wait_until(lambda: shop.statuses("order")["MERCHANT_ACCEPTED"] == 6, "the orders")
    assert shop.services["order", "0"].stop() == 0
    for number in range(6, 12):
        shop.world.publish("checkout", 0, *submitted(number))
    shop.world.delete_records("checkout", 0, before=10)
    sentence = shop.start("order").sentence()
    assert "checkout/0" in sentence
    assert "--accept-loss" in sentence
    assert "10 to 12" in sentence
    shop.start("order", DISPUTE_RATE="0", ACCEPT_LOSS="1").until_logged("loss accepted")
    wait_until(lambda: shop.statuses("order")["MERCHANT_ACCEPTED"] == 8, "the orders of what is left")
    assert shop.statuses("order")["NEW"] == 8


@pytest.mark.claim(
    "of two processes in a slot, one ends and names the setting",
    section="transactions",
    tried="found a fenced consumer that stayed deaf",
)
def test_of_two_processes_in_a_slot_one_ends_and_names_the_setting_and_nothing_is_doubled(shop: Shop) -> None:
    both = [shop.start("order", DISPUTE_RATE="0")]
    both[0].until_logged("caught up")
    # Under another key of the test's own, so that both are stopped at its end.
    shop.services["order", "first"] = both[0]
    both.append(shop.start("order", DISPUTE_RATE="0"))
    for number in range(30):
        shop.world.publish("checkout", number % PARTITIONS, *submitted(number))
    wait_until(lambda: any(one.process.poll() is not None for one in both), "one of them to end")
    (loser,) = [one for one in both if one.process.poll() is not None]
    assert "INSTANCE=0" in loser.sentence()
    wait_until(lambda: shop.statuses("order")["MERCHANT_ACCEPTED"] == 30, "the orders")
    assert shop.statuses("order")["NEW"] == 30
