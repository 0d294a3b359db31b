"""What dies, stops or vanishes under the service, and what is stored all the same: everything, once."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from sqlalchemy import text

from local.kafka import Kafka
from local.mariadb import MariaDB
from local.server import Server
from tests.analytics.world import Shop, wait
from tools.kit.business import lives

CRASHING = "tests.analytics.crashing_service"


class Traffic:
    """Publishes checkouts in small transactions, in a thread, until it is stopped."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.published = 0
        self._number = 0

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def more(self, messages: int) -> None:
        """Waits until so many more are published."""
        goal = self.published + messages
        wait(lambda: self.published >= goal, f"{messages} more published messages")

    def _run(self) -> None:
        while not self._stopped.wait(0.02):
            self.published += self._shop.topics.publish(lives(range(self._number, self._number + 20)))
            self._number += 20


@pytest.fixture
def traffic(shop: Shop) -> Iterator[Traffic]:
    with Traffic(shop) as running:
        yield running


@contextlib.contextmanager
def away(server: Server) -> Iterator[None]:
    """The server is killed, and started again afterwards."""
    server.kill()
    try:
        yield
    finally:
        server.start()
        server.wait_ready()


def finish(shop: Shop, traffic: Traffic) -> None:
    """No more traffic; everything must be stored, once, as it is."""
    traffic.__exit__()
    shop.wait_for(traffic.published)
    shop.verify()


@pytest.mark.claim(
    "killed before and after the commit, every message is stored once", section="analytics", tried="not broken"
)
@pytest.mark.parametrize("point", ["before", "after"])
def test_killed_around_the_commit(shop: Shop, traffic: Traffic, point: str) -> None:
    crashing = shop.start(point, "3", module=CRASHING)
    assert crashing.ended() == -signal.SIGKILL
    shop.start()
    traffic.more(100)
    finish(shop, traffic)


def test_the_database_restarts(shop: Shop, traffic: Traffic, mariadb: MariaDB) -> None:
    service = shop.start()
    wait(lambda: shop.count() > 100, "some stored messages")
    with away(mariadb):
        wait(lambda: service.says("does not answer"), "the reason")
        traffic.more(200)
    finish(shop, traffic)
    assert service.process.poll() is None


def test_the_broker_restarts(shop: Shop, kafka: Kafka) -> None:
    published = shop.topics.publish(lives(range(100)))
    service = shop.start()
    shop.wait_for(published)
    with away(kafka):
        wait(lambda: service.says("waiting for Kafka"), "the reason")
    published += shop.topics.publish(lives(range(100, 200)))
    shop.wait_for(published, 60)
    shop.verify()
    service.stop()


def test_it_ends_in_time_while_database_and_broker_are_away(shop: Shop, kafka: Kafka, mariadb: MariaDB) -> None:
    published = shop.topics.publish(lives(range(100)))
    service = shop.start()
    shop.wait_for(published)
    with away(kafka), away(mariadb):
        wait(lambda: service.says("waiting for Kafka"), "the reason")
        service.stop()


def test_two_instances_join_and_leave(shop: Shop, traffic: Traffic) -> None:
    first = shop.start(INSTANCE="0")
    wait(lambda: shop.count() > 100, "some stored messages")
    second = shop.start(INSTANCE="1")
    wait(lambda: second.says("stored"), "the second one to store")
    # A slot keeps its partitions until its session ends, so that a restart moves nothing.
    second.stop()
    traffic.more(100)
    again = shop.start(INSTANCE="1")
    wait(lambda: again.says("stored"), "the second one to store again")
    first.signal(signal.SIGKILL)
    finish(shop, traffic)


@pytest.mark.claim("a zombie stores nothing twice", section="analytics", tried="not broken")
def test_a_stopped_instance_that_wakes_stores_nothing_twice(shop: Shop, traffic: Traffic) -> None:
    zombie = shop.start(INSTANCE="0")
    wait(lambda: shop.count() > 200, "some stored messages")
    zombie.signal(signal.SIGSTOP)
    heir = shop.start(INSTANCE="1")
    wait(lambda: heir.says("stored"), "the heir to store")
    stored = shop.count()
    wait(lambda: shop.count() > stored + 200, "more stored messages")
    zombie.signal(signal.SIGCONT)
    traffic.more(200)
    finish(shop, traffic)
    assert zombie.process.poll() is None


def test_partitions_are_added(shop: Shop, traffic: Traffic) -> None:
    shop.start()
    wait(lambda: shop.count() > 100, "some stored messages")
    shop.topics.grow(5)

    def added_are_used() -> bool:
        with shop.engine().connect() as connection:
            return bool(
                connection.execute(text("SELECT COUNT(*) FROM checkout WHERE kafka_partition > 3")).scalar_one()
            )

    wait(added_are_used, "messages in the added partitions")
    finish(shop, traffic)


def test_a_topic_is_recreated(shop: Shop) -> None:
    first = shop.topics.publish(lives(range(60)))
    service = shop.start()
    shop.wait_for(first)
    shop.topics.delete()
    wait(lambda: not shop.topics.exist(), "the end of the topics")
    shop.topics.create()
    # More than before, at once: a reader that goes on at its old offsets finds messages there.
    second = shop.topics.publish(lives(range(1000, 1200)))
    shop.wait_for(first + second)
    shop.verify()
    assert service.process.poll() is None
    with shop.engine().connect() as connection:
        logs = connection.execute(text("SELECT topic, COUNT(*) FROM kafka_log GROUP BY topic")).all()
    assert {count for _, count in logs} == {2}


def test_a_topic_is_recreated_while_it_is_away(shop: Shop) -> None:
    first = shop.topics.publish(lives(range(60)))
    service = shop.start()
    shop.wait_for(first)
    service.stop()
    shop.topics.delete()
    wait(lambda: not shop.topics.exist(), "the end of the topics")
    shop.topics.create()
    second = shop.topics.publish(lives(range(1000, 1030)))
    shop.start()
    shop.wait_for(first + second)
    shop.verify()


@pytest.mark.claim(
    "offsets that the topic lost are an error until they are accepted", section="analytics", tried="not broken"
)
def test_retention_that_was_faster_is_loud_until_accepted(shop: Shop) -> None:
    first = shop.topics.publish(lives(range(60)))
    service = shop.start()
    shop.wait_for(first)
    service.stop()
    stored = shop.messages().keys()
    shop.topics.publish(lives(range(100, 160)))
    at, end = next(
        (at, 1 + max(o for p, o in shop.messages() if p == at)) for at, _ in stored if at.topic.endswith("checkout")
    )
    last = max(offset for topic_partition, offset in stored if topic_partition == at)
    admin = AdminClient({"bootstrap.servers": shop.bootstrap})
    for future in admin.delete_records([ck.TopicPartition(*at, end - 2)]).values():
        future.result(10)

    refused = shop.start()
    assert refused.ended() == 2
    sentence = refused.output().splitlines()[-1]
    assert f"checkout partition {at.partition} holds offsets {end - 2} to" in sentence
    assert "--accept-loss" in sentence

    accepted = shop.start("--accept-loss")
    wait(lambda: shop.count() == first + len(shop.messages().keys() - stored), "what is left")
    with shop.engine().connect() as connection:
        loss = connection.execute(text("SELECT * FROM accepted_loss")).one()
    assert (loss.kafka_partition, loss.next_offset) == (at.partition, end - 2)
    assert last < loss.first_offset <= last + 2
    accepted.stop()
    # Once recorded it need not be accepted again.
    more = shop.count() + shop.topics.publish(lives(range(200, 220)))
    shop.start()
    shop.wait_for(more)


def test_a_topic_that_was_cut_off_is_loud_until_accepted(shop: Shop) -> None:
    """Staged by a row at an offset that the topic has not reached: a restored broker would look like that."""
    first = shop.topics.publish(lives(range(30)))
    service = shop.start()
    shop.wait_for(first)
    service.stop()
    with shop.root.connect() as connection:
        row = connection.execute(text("SELECT * FROM checkout ORDER BY kafka_partition LIMIT 1")).one()._asdict()
        columns = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        ahead = row | {"kafka_offset": 1000}
        connection.execute(text(f"INSERT INTO checkout ({columns}) VALUES ({values})"), ahead)
        connection.commit()
    refused = shop.start()
    assert refused.ended() == 2
    assert "goes on at 1001" in refused.output().splitlines()[-1]
    shop.start(ACCEPT_LOSS=1)
    with shop.engine().connect() as connection:

        def recorded() -> bool:
            connection.rollback()
            return bool(connection.execute(text("SELECT MAX(next_offset) = 1001 FROM accepted_loss")).scalar_one())

        wait(recorded, "the recorded loss")
    # The other partitions go on.
    before = shop.count()
    shop.topics.publish(lives(range(100, 160)))
    wait(lambda: shop.count() > before, "messages of the other partitions")


def test_a_slow_database_pauses_reading(shop: Shop) -> None:
    service = shop.start(BATCH_MESSAGES=20)
    wait(lambda: service.says("reading"), "the first reading")
    with shop.root.connect() as connection:
        connection.execute(text("FLUSH TABLES WITH READ LOCK"))
        published = shop.topics.publish(lives(range(200)))
        wait(lambda: service.says("the database is slow: reading pauses"), "the pause")
        assert shop.count() < published
        connection.execute(text("UNLOCK TABLES"))
    shop.wait_for(published)
    shop.verify()
