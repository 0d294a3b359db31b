"""What the database cannot do for a while: nothing is stored, the reason is said, and later all is stored, once."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Consumer
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from analytics_service import ingest, kafka
from analytics_service.batch import Batch
from analytics_service.ingest import Ingest
from analytics_service.loader import Loader
from analytics_service.settings import AnalyticsSettings
from analytics_service.store import Collision, Store
from analytics_service.streams import Streams
from shop.contract.lifecycle import TOPICS
from shop.runtime.errors import Unavailable
from tests.analytics.business import life, lives
from tests.analytics.world import Shop, wait

pytestmark = [pytest.mark.broker, pytest.mark.database]

TABLE_FULL, DISK_FULL = 1114, 1021


@contextlib.contextmanager
def full(shop: Shop, code: int) -> Iterator[None]:
    """The server answers each load of facts with this error."""
    with shop.root.connect() as connection, contextlib.ExitStack() as undone:
        for topic in TOPICS:
            connection.exec_driver_sql(
                f"CREATE TRIGGER {topic}_full BEFORE INSERT ON `{topic}` FOR EACH ROW "
                f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'the disk is full'"
            )
            undone.callback(connection.exec_driver_sql, f"DROP TRIGGER {topic}_full")
        yield


@pytest.mark.parametrize("code", [TABLE_FULL, DISK_FULL])
def test_while_the_disk_is_full_nothing_is_stored_and_afterwards_everything_once(shop: Shop, code: int) -> None:
    published = shop.topics.publish(lives(range(20)))
    service = shop.start()
    shop.wait_for(published)
    tables = (*TOPICS, "cart_item", "shipping_address", "dead_letter")
    before = shop.count(*tables)
    reason = f"MariaDB at [::1]:{shop.mariadb_port}/{shop.database} does not answer: ({code}, 'the disk is full')"
    with full(shop, code):
        published += shop.topics.publish(lives(range(20, 120)))
        wait(lambda: service.output().count(reason) > 2 or service.process.poll() is not None, "the reason, again")
        assert service.process.poll() is None
        assert shop.count(*tables) == before
    shop.wait_for(published)
    shop.verify()
    service.stop()


def test_a_rebalance_while_the_database_is_slow_stalls_nothing(shop: Shop) -> None:
    published = shop.topics.publish(lives(range(20)))
    service = shop.start(BATCH_MESSAGES=10)
    shop.wait_for(published)
    with shop.root.connect() as connection:
        connection.execute(text("SELECT * FROM log_partition FOR UPDATE"))
        published += shop.topics.publish(lives(range(20, 120)))
        wait(lambda: service.says("reading pauses"), "the pause")
        joined = shop.start(INSTANCE="1")
        wait(lambda: joined.says("reading"), "the rebalance")
    shop.wait_for(published)
    shop.verify()


class Failing(Store):
    """Fails as it is told, one save after the other, where it is not told None; afterwards it only stores."""

    def __init__(self, engine: Engine, failures: Iterable[Exception | None]) -> None:
        super().__init__(engine)
        self._failures = iter(failures)

    def save(self, batch: Batch) -> int:
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        return super().save(batch)


def settings_of(shop: Shop) -> AnalyticsSettings:
    return AnalyticsSettings(
        kafka_bootstrap=shop.bootstrap,
        kafka_user="",
        mariadb_port=shop.mariadb_port,
        mariadb_database=shop.database,
        namespace=shop.namespace,
        batch_messages=1,
    )


@contextlib.contextmanager
def running(
    shop: Shop, engine: Engine, settings: AnalyticsSettings, consumer: Callable[[], Consumer], store: Store
) -> Iterator["Future[None]"]:
    """The service in a thread of this process, with these parts."""
    consumers: list[Consumer] = []

    def made() -> Consumer:
        consumers.append(consumer())
        return consumers[-1]

    broker = kafka.Broker(kafka.client(settings, logging.getLogger("librdkafka")), Streams(shop.namespace))
    loader = Loader(store, broker.topic_ids, settings.queued_batches)
    stop = threading.Event()
    loader.start()
    with ThreadPoolExecutor() as pool:
        service = pool.submit(Ingest(settings, made, broker, engine, loader).run, stop.is_set)
        try:
            yield service
        finally:
            stop.set()
        service.result()
    consumers[-1].close()


def test_pauses_grow_until_a_batch_is_stored(shop: Shop, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(ingest, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(ingest, "LONGEST_PAUSE", 0.05)
    away, stored, collision = Unavailable("a test"), None, Collision("a test")
    failures = {
        (away, away, away, away, away): [0.01, 0.02, 0.04, 0.05, 0.05],
        (stored, away, away): [0.01, 0.02],
        # Somebody else has stored more: nothing to wait for, unless it goes on and on.
        (stored, collision, collision, collision): [0, 0.02, 0.04],
        (stored, away, collision): [0.01, 0.02],
    }
    settings = settings_of(shop)
    config = kafka.consumer(settings, logging.getLogger("librdkafka"))
    store = Failing(engine, sum(failures, ()))
    published = shop.topics.publish(life(1))
    with capture_logs() as said, running(shop, engine, settings, lambda: Consumer(config), store) as service:
        wait(lambda: service.done() or shop.count() == published, "everything")
    pauses = [line["seconds"] for line in said if line["event"] == "starting again from the database"]
    assert pauses == [pause for expected in failures.values() for pause in expected]
    shop.verify()


class NeverJoining(Consumer):
    """As librdkafka is when it has forgotten its brokers: it polls, and is given nothing."""

    def subscribe(self, *_arguments: Any, **_options: Any) -> None:
        pass


def test_a_consumer_that_is_given_nothing_for_good_is_left_behind_and_another_one_goes_on(
    shop: Shop, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "JOIN_SECONDS", 3.0)
    settings = settings_of(shop)
    config = kafka.consumer(settings, logging.getLogger("librdkafka"))
    kinds = iter([NeverJoining, Consumer])
    with running(shop, engine, settings, lambda: next(kinds)(config), Store(engine)) as service:
        published = shop.topics.publish(life(1))
        wait(lambda: service.done() or shop.count() == published, "everything")
    assert next(kinds, None) is None
    shop.verify()
