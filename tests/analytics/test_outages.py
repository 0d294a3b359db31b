"""What the database cannot do for a while: nothing is stored, the reason is said, and later all is stored, once."""

import contextlib
import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Consumer
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from analytics_service.ingest import reader
from analytics_service.ingest.batch import Batch
from analytics_service.ingest.loader import Loader
from analytics_service.ingest.reader import Ingest
from analytics_service.ingest.store import Collision, Store
from analytics_service.settings import AnalyticsSettings
from local.server import free_port
from shop.contract.lifecycle import TOPICS
from shop.edges.kafka import kafka_options
from shop.runtime.errors import Unavailable
from shop.runtime.kafka.admin import Admin
from shop.runtime.kafka.member import GroupMember
from tests.analytics.world import Shop, wait
from tools.kit.business import life, lives

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


@pytest.mark.claim(
    "while the disk is full nothing is stored and the reason is logged; afterwards everything is stored once",
    section="analytics",
    tried="broken in 3 ways",
)
@pytest.mark.parametrize("code", [TABLE_FULL, DISK_FULL])
def test_while_the_disk_is_full_nothing_is_stored_and_afterwards_everything_once(shop: Shop, code: int) -> None:
    published = shop.topics.publish(lives(range(20)))
    service = shop.start()
    shop.wait_for(published)
    tables = (*TOPICS, "cart_item", "shipping_address", "dead_letter")
    before = shop.count(*tables)
    reason = f"MariaDB at [::1]:{shop.mariadb_port}/{shop.database} does not answer: ({code}, 'the disk is full')"
    with full(shop, code):
        published += 10 + shop.topics.publish(lives(range(20, 120)))
        shop.topics.produce([("checkout", None, b"no event")] * 10)
        wait(lambda: service.output().count(reason) > 2 or service.process.poll() is not None, "the reason, again")
        assert service.process.poll() is None
        assert shop.count(*tables) == before
    shop.wait_for(published)
    shop.verify()
    service.stop()
    assert service.output().count("] dead letter ") == 10, "each is said once, when it is stored"


@pytest.mark.claim(
    "partitions that were paused are read on after a rebalance", section="analytics", tried="found the stall"
)
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
    engine: Engine,
    settings: AnalyticsSettings,
    consumer: Callable[[dict[str, Any]], Consumer],
    store: Store,
) -> Iterator["Future[None]"]:
    """The service in a thread of this process, with these parts."""
    consumers: list[Consumer] = []

    def made(config: dict[str, Any]) -> Consumer:
        consumers.append(consumer(config))
        return consumers[-1]

    options = kafka_options(settings, "analytics", TOPICS, logging.getLogger("librdkafka"))
    admin = Admin(options)
    loader = Loader(store, admin.topic_ids, settings.queued_batches)
    stop = threading.Event()
    loader.start()
    with ThreadPoolExecutor() as pool:
        service = pool.submit(Ingest(settings, GroupMember(options, made), admin, engine, loader).run, stop.is_set)
        try:
            yield service
        finally:
            stop.set()
        service.result()
    consumers[-1].close()


@pytest.mark.claim(
    "pauses grow from failure to failure, until a batch is stored", section="analytics", tried="broken in 8 ways"
)
def test_pauses_grow_until_a_batch_is_stored(shop: Shop, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(reader, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(reader, "LONGEST_PAUSE", 0.05)
    away, stored, collision = Unavailable("a test"), None, Collision("a test")
    failures = {
        (away, away, away, away, away): [0.01, 0.02, 0.04, 0.05, 0.05],
        (stored, away, away): [0.01, 0.02],
        # Somebody else has stored more: nothing to wait for, unless it goes on and on.
        (stored, collision, collision, collision): [0, 0.02, 0.04],
        (stored, away, collision): [0.01, 0.02],
    }
    settings = settings_of(shop)
    store = Failing(engine, sum(failures, ()))
    published = shop.topics.publish(life(1))
    with capture_logs() as said, running(engine, settings, Consumer, store) as service:
        wait(lambda: service.done() or shop.count() == published, "everything")
    pauses = [line["seconds"] for line in said if line["event"] == "restoring from the database"]
    assert pauses == [pause for expected in failures.values() for pause in expected]
    shop.verify()


class NeverJoining(Consumer):
    """As librdkafka is when it has forgotten its brokers: it polls, and is given nothing."""

    def subscribe(self, *_arguments: Any, **_options: Any) -> None:
        pass


@pytest.mark.claim("a consumer that never gets a message is replaced", section="analytics", tried="broken")
def test_a_consumer_that_is_given_nothing_for_good_is_left_behind_and_another_one_goes_on(
    shop: Shop, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.runtime.kafka.member.JOIN_SECONDS", 3.0)
    settings = settings_of(shop)
    kinds: Iterator[type[Consumer]] = iter([NeverJoining, Consumer])

    def one_after_the_other(config: dict[str, Any]) -> Consumer:
        return next(kinds)(config)

    with running(engine, settings, one_after_the_other, Store(engine)) as service:
        published = shop.topics.publish(life(1))
        wait(lambda: service.done() or shop.count() == published, "everything")
    assert next(kinds, None) is None
    shop.verify()


def test_a_reader_who_goes_to_lunch_with_locks_is_told_by_health_and_ended_after_half_a_minute(
    shop: Shop, record_property: Callable[[str, object], None]
) -> None:
    published = shop.topics.publish(lives(range(20)))
    port = free_port()
    service = shop.start(HTTP_PORT=port)
    shop.wait_for(published)
    wait(lambda: health(port)[0] == 200, "a healthy service")
    with shop.engine().connect() as reader:
        reader.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        reader.exec_driver_sql("SELECT COUNT(*) FROM checkout")
        session = f"session {reader.exec_driver_sql('SELECT CONNECTION_ID()').scalar_one()} (user from ::1:"
        began = time.monotonic()
        published += shop.topics.publish(lives(range(20, 40)))
        wait(lambda: health(port)[0] == 503, "the answer that it is not well")
        told = health(port)[1]
        assert (told["unblocked"], str(told["waits_for"]).startswith(session)) == (False, True)
        wait(lambda: service.says("ended the session that storing waited for"), "the end of the session", 40)
        shop.wait_for(published, 5)
        took = time.monotonic() - began
        record_property("seconds that storing waited for a reader who had gone to lunch", round(took, 1))
        assert 30 <= took < 35
        with pytest.raises(DBAPIError):
            reader.exec_driver_sql("SELECT 1")
        reader.invalidate()
    wait(lambda: health(port) == (200, {name: True for name in told if name != "waits_for"}), "a healthy service")
    shop.verify()
    service.stop()


def health(port: int) -> tuple[int, dict[str, object]]:
    """The status and the answer of /health; status 0 while nobody answers."""
    connection = http.client.HTTPConnection("::1", port, timeout=10)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    except OSError:
        return 0, {}
    finally:
        connection.close()
