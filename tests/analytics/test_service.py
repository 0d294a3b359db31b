"""The service as a process, on the real Kafka and the real MariaDB."""

import json
import signal

import pytest
from sqlalchemy import text

from local.server import free_port
from shop.contract.events import serialize
from shop.contract.lifecycle import TOPICS
from tests.analytics.world import Shop, wait
from tools.kit.business import life, lives


def test_every_message_is_stored_once_and_as_it_is(shop: Shop) -> None:
    published = shop.topics.publish(lives(range(300)))
    service = shop.start()
    shop.wait_for(published)
    published += shop.topics.publish(lives(range(300, 400)))
    shop.wait_for(published)
    shop.verify()
    service.stop()
    # A restart goes on behind what is stored.
    published += shop.topics.publish(lives(range(400, 450)))
    shop.start()
    shop.wait_for(published)
    shop.verify()


def test_topics_with_different_numbers_of_partitions_are_read_all_the_same(shop: Shop) -> None:
    """As while somebody adds partitions, topic by topic: only who publishes needs equally many."""
    shop.topics.grow(5, only=["order"])
    service = shop.start()
    shop.wait_for(shop.topics.publish(lives(range(60))))
    assert service.process.poll() is None
    shop.verify()


def test_bad_messages_become_dead_letters_and_stop_nothing(shop: Shop) -> None:
    created = next(life(1))
    key, good = created.key.encode(), json.loads(serialize(created))
    bad = {
        b"{not json": "Invalid JSON",
        None: "no value",
        b"\xff\xfe": "",
        json.dumps(good | {"extra": 1}).encode(): "extra: Extra inputs are not permitted",
        json.dumps(good | {"total_amount": "9.99"}).encode(): "total_amount",
        json.dumps(good | {"currency": "EUROS"}).encode(): "currency",
        json.dumps(good | {"checkout_id": good["checkout_id"].upper()}).encode(): "checkout_id",
        json.dumps(good | {"payment_method": "x" * 33}).encode(): "payment_method",
        json.dumps(good | {"user_id": "x" * 900_000}).encode(): "user_id",
        json.dumps(
            {name: value for name, value in good.items() if name != "cart_items"}
        ).encode(): "cart_items: Field",
    }
    shop.topics.produce([("checkout", key, value) for value in bad], headers=[("trace", b"a&b"), ("none", None)])
    shop.topics.publish(lives(range(20)))
    # A valid event is stored by its value, whatever its key.
    shop.topics.produce([("checkout", b"a wrong key", serialize(next(life(500)))), ("order", None, None)])
    shop.start()
    wait(lambda: shop.count("dead_letter") == len(bad) + 1, "the dead letters")
    wait(lambda: shop.count() == len(shop.messages()), "everything")
    shop.verify()
    with shop.engine().connect() as connection:
        letters = connection.execute(text("SELECT message_value, reason, headers FROM dead_letter")).all()
    reasons = {letter.message_value: (letter.reason, letter.headers) for letter in letters if letter.headers}
    for value, words in bad.items():
        reason, headers = reasons[value]
        assert words in reason
        assert len(reason) <= 1000
        assert headers == "trace=a%26b&none"


def test_it_ends_well_and_fast_with_nothing_to_do(shop: Shop) -> None:
    service = shop.start()
    wait(lambda: service.says("reading"), "the first reading")
    service.stop()
    assert service.says("stopped")
    again = shop.start()
    wait(lambda: again.says("reading"), "the first reading")
    again.signal(signal.SIGINT)
    assert again.ended(5) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MARIADB_PASSWORD": "wrong"}, "MARIADB_PASSWORD"),
        ({"MARIADB_DATABASE": "nowhere"}, "MARIADB_DATABASE"),
        ({"KPI_WINDOW": "11m"}, "KPI_WINDOW"),
        ({"BATCH_MESSAGES": "0"}, "BATCH_MESSAGES"),
        ({"INSTANCE": "a b"}, "INSTANCE"),
    ],
)
def test_what_a_person_must_mend_is_one_sentence(shop: Shop, settings: dict[str, str], words: str) -> None:
    service = shop.start(module="", **settings)
    assert service.ended(15) == 2
    last = service.output().strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
    assert "wrong" not in last.replace("wrong setting", "")


def test_a_missing_topic_is_one_sentence(empty_shop: Shop) -> None:
    empty_shop.topics.create(only=TOPICS[:2])
    service = empty_shop.start()
    assert service.ended(15) == 2
    assert service.output().strip().splitlines()[-1] == (
        f"error: Kafka at {empty_shop.bootstrap} has no topic {empty_shop.namespace}fulfillment: run ./init-kafka.sh"
    )


def test_it_waits_for_a_database_and_a_broker_that_are_down(shop: Shop) -> None:
    nobody = free_port()
    without_database = shop.start(MARIADB_PORT=nobody)
    without_kafka = shop.start(KAFKA_BOOTSTRAP=f"[::1]:{nobody}")
    wait(lambda: without_database.says("waiting for MariaDB") and without_database.says(str(nobody)), "the line")
    wait(lambda: without_kafka.says("waiting for Kafka") and without_kafka.says(str(nobody)), "the line")
    without_database.stop()
    without_kafka.stop()


def test_a_slot_is_taken_once(shop: Shop) -> None:
    first = shop.start()
    wait(lambda: first.says("reading"), "the first reading")
    second = shop.start()
    wait(lambda: first.process.poll() is not None or second.process.poll() is not None, "the end of one of them")
    loser, winner = (first, second) if first.process.poll() is not None else (second, first)
    assert loser.process.returncode == 2
    assert "another process runs as INSTANCE=0" in loser.output().splitlines()[-1]
    published = shop.topics.publish(lives(range(20)))
    shop.wait_for(published)
    winner.stop()


def test_offsets_in_kafka_follow_the_database(shop: Shop) -> None:
    published = shop.topics.publish(lives(range(100)))
    shop.start()
    shop.wait_for(published)

    def lag() -> int:
        return int(json.loads(shop.run("analytics_service.kpi", "--json").stdout)["lag"])

    wait(lambda: lag() == 0, "a lag of 0")
