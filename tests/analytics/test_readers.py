"""Readers that hold locks which storing has to wait for: they are named, and ended in time; others are left alone."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pymysql
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from analytics_service.ingest.store import Store
from analytics_service.settings import AnalyticsSettings
from fulfillment_service.projection import FulfillmentTable, writer
from fulfillment_service.settings import FulfillmentSettings
from local.mariadb import MariaDB
from shop.edges.lock_watch import LockWatch
from shop.edges.settings import DatabaseSettings
from tests.analytics.world import wait
from tests.fulfillment.test_projection import SHIPPED, events
from tools.kit.batches import batch, facts, logs, number_of
from tools.kit.business import life
from tools.kit.databases import Databases

TIMEOUT, LOOK = 1.0, 0.1
SERIALIZABLE = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"


@dataclass
class Session:
    """A session of somebody else's."""

    connection: "pymysql.Connection[pymysql.cursors.Cursor]"

    @property
    def number(self) -> int:
        return int(self.connection.thread_id())  # type: ignore[no-untyped-call]

    def ask(self, *statements: str) -> int:
        """How many rows the last one finds."""
        with self.connection.cursor() as cursor:
            return [cursor.execute(statement) for statement in statements][-1]

    @property
    def lives(self) -> bool:
        try:
            return self.ask("SELECT 1") == 1
        except pymysql.MySQLError:
            return False


@pytest.fixture
def sessions(mariadb: MariaDB, shared_databases: Databases) -> Iterator[Callable[..., Session]]:
    """Opens sessions, of ``user`` if nobody else is named, which end with the test."""
    opened: list[pymysql.Connection[pymysql.cursors.Cursor]] = []

    def open_session(user: str = "user", database: str = shared_databases.analytics) -> Session:
        way = (
            {"unix_socket": str(mariadb.socket)}
            if user == "root"
            else {"host": "::1", "port": mariadb.port, "password": f"{user}pw"}
        )
        opened.append(pymysql.connect(user=user, database=database, autocommit=True, **way))
        return Session(opened[-1])

    yield open_session
    for connection in opened:
        with suppress(pymysql.MySQLError):
            connection.close()


@contextmanager
def watched(engine: Engine, settings: DatabaseSettings, stored: Callable[[], int] = lambda: 0) -> Iterator[LockWatch]:
    """The watch of the service, with a shorter timeout."""
    watch = LockWatch(engine, settings, stored, timeout=TIMEOUT, look=LOOK)
    watch.start()
    yield watch
    watch.end()


@pytest.fixture
def settings(mariadb: MariaDB, database: str) -> AnalyticsSettings:
    return AnalyticsSettings(mariadb_port=mariadb.port, mariadb_database=database)


IDLE: dict[str, Sequence[str]] = {
    "serializable": (SERIALIZABLE, "BEGIN", "SELECT COUNT(*) FROM checkout"),
    "serializable without a begin": (SERIALIZABLE, "SET autocommit = 0", "SELECT COUNT(*) FROM checkout"),
    "serializable, read only": (SERIALIZABLE, "START TRANSACTION READ ONLY", "SELECT COUNT(*) FROM checkout"),
    "serializable, of a view": (SERIALIZABLE, "BEGIN", "SET @kpi_window = 600", "SELECT * FROM kpi_events"),
    "in share mode": ("BEGIN", "SELECT COUNT(*) FROM checkout LOCK IN SHARE MODE"),
    "for update": ("BEGIN", "SELECT COUNT(*) FROM checkout FOR UPDATE"),
    "of the writers' own locks": ("BEGIN", "SELECT * FROM log_partition LOCK IN SHARE MODE"),
    "of carts": ("BEGIN", "SELECT COUNT(*) FROM cart_item FOR UPDATE"),
    "of an XA transaction": ("XA START 'x'", "SELECT COUNT(*) FROM checkout FOR UPDATE"),
    "of one that is prepared": (
        "XA START 'y'",
        "SELECT COUNT(*) FROM checkout FOR UPDATE",
        "XA END 'y'",
        "XA PREPARE 'y'",
    ),
}


def save(engine: Engine) -> "tuple[ThreadPoolExecutor, Callable[[], int]]":
    """Stores a batch behind the test's back."""
    known = logs(engine)
    pool = ThreadPoolExecutor(1)
    return pool, pool.submit(Store(engine).save, batch(known, facts(known, life(1)))).result


@pytest.mark.claim(
    "a session that storing waits for is named, and ended in time", section="analytics", tried="not broken"
)
@pytest.mark.parametrize("statements", IDLE.values(), ids=IDLE)
def test_an_idle_reader_that_storing_waits_for_is_named_and_ended(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session], statements: Sequence[str]
) -> None:
    logs(engine)
    reader = sessions()
    reader.ask(*statements)
    began = time.monotonic()
    pool, saved = save(engine)
    with capture_logs() as said, watched(engine, settings) as watch, pool:
        wait(lambda: watch.waits_for, "somebody to wait for")
        assert str(watch.waits_for).startswith(f"session {reader.number} (user from ::1:")
        assert saved() == 0
        took = time.monotonic() - began
    assert TIMEOUT <= took < TIMEOUT + 3
    assert not reader.lives
    assert number_of(engine, "checkout") == 4
    waits, ended = said
    assert (waits["event"], ended["event"]) == (
        "storing waits for a lock",
        "ended the session that storing waited for",
    )
    for line in said:
        assert (line["session"], line["user"], line["host"][:4]) == (reader.number, "user", "::1:")


def test_a_running_reader_that_storing_waits_for_is_ended(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session]
) -> None:
    reader = sessions()
    reader.ask("BEGIN", "SELECT COUNT(*) FROM checkout FOR UPDATE")
    with watched(engine, settings), ThreadPoolExecutor() as others:
        running = others.submit(reader.ask, "SELECT SLEEP(600)")
        pool, saved = save(engine)
        with pool:
            assert saved() == 0
        with pytest.raises(pymysql.MySQLError):
            running.result(5)


def test_several_readers_that_storing_waits_for_are_ended(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session]
) -> None:
    readers = [sessions() for _ in range(3)]
    for reader in readers:
        reader.ask(SERIALIZABLE, "BEGIN", "SELECT COUNT(*) FROM checkout")
    pool, saved = save(engine)
    with watched(engine, settings), pool:
        assert saved() == 0
    assert not any(reader.lives for reader in readers)


@pytest.mark.claim(
    "a session that only reads is left alone, however long it takes", section="analytics", tried="not broken"
)
def test_who_only_reads_is_left_alone_however_long_it_takes(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session]
) -> None:
    """An export from a snapshot, a query that runs for long, an idle plain SELECT, of a table and of a view."""
    known = logs(engine)
    export, running, idle, of_a_view, blocker = (sessions() for _ in range(5))
    export.ask("START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT COUNT(*) FROM checkout")
    idle.ask("BEGIN", "SELECT COUNT(*) FROM checkout")
    of_a_view.ask("BEGIN", "SELECT * FROM kpi_funnel")
    store = Store(engine)
    with watched(engine, settings), ThreadPoolExecutor() as pool:
        query = pool.submit(running.ask, f"SELECT SLEEP({4 * TIMEOUT}) FROM kafka_log LIMIT 1")
        for number in range(2):
            blocker = sessions()
            blocker.ask("BEGIN", "SELECT COUNT(*) FROM checkout FOR UPDATE")
            rows = facts(known, life(number), first=4 * number)
            one = batch(known, [row for row in rows if row.table == "checkout"], 4 * number - 1)
            assert store.save(one) == 0
            assert not blocker.lives
        assert query.result() == 1
    assert all(session.lives for session in (export, idle, of_a_view))
    assert export.ask("SELECT * FROM checkout") == 0


def test_waits_that_are_short_end_nobody(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session]
) -> None:
    """A session that holds locks again and again, while storing gets on in between."""
    known, store, reader = logs(engine), Store(engine), sessions()
    done = 0
    with watched(engine, settings, lambda: done), ThreadPoolExecutor() as pool:
        for number in range(5):
            reader.ask("BEGIN", "SELECT COUNT(*) FROM checkout FOR UPDATE")
            rows = facts(known, life(number), first=4 * number)
            one = batch(known, [row for row in rows if row.table == "checkout"], 4 * number - 1)
            saving = pool.submit(store.save, one)
            time.sleep(TIMEOUT / 2)
            assert not saving.done()
            reader.ask("ROLLBACK")
            assert saving.result() == 0
            done += 1
    assert reader.lives


def test_an_administrator_s_idle_lock_is_ended_and_a_statement_under_way_is_not(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session]
) -> None:
    root = sessions("root")
    root.ask("LOCK TABLES checkout WRITE")
    with capture_logs() as said, watched(engine, settings), ThreadPoolExecutor() as others:
        running = others.submit(root.ask, f"SELECT SLEEP({3 * TIMEOUT})")
        pool, saved = save(engine)
        with pool:
            wait(
                lambda: any("may not end" in line["event"] for line in said),
                "the word that it is root's statement",
            )
            assert running.result() == 1
            assert saved() == 0
    assert not root.lives


def test_who_waits_for_a_reader_and_is_waited_for_is_not_ended_for_it(
    engine: Engine, settings: AnalyticsSettings, sessions: Callable[..., Session]
) -> None:
    """The reader at the end of the chain is."""
    logs(engine)
    reader, root = sessions(), sessions("root")
    reader.ask("BEGIN", "SELECT COUNT(*) FROM checkout")
    with watched(engine, settings), ThreadPoolExecutor() as others:
        altered = others.submit(
            root.ask,
            "SET lock_wait_timeout = 60",
            "ALTER TABLE checkout COMMENT 'One row per message of topic checkout'",
        )
        time.sleep(3 * LOOK)
        pool, saved = save(engine)
        with pool:
            assert saved() == 0
        altered.result(10)
    assert not reader.lives
    assert root.lives


def test_a_reader_of_fulfillment_s_table_is_ended_as_well(
    mariadb: MariaDB, shared_databases: Databases, sessions: Callable[..., Session]
) -> None:
    """The auditor may read it."""
    own = FulfillmentSettings(mariadb_port=mariadb.port, mariadb_database=shared_databases.fulfillment)
    reader = sessions("auditor", shared_databases.fulfillment)
    reader.ask(SERIALIZABLE, "BEGIN", "SELECT COUNT(*) FROM fulfillment")
    engine = writer(own)
    table = FulfillmentTable(engine, own)
    with capture_logs() as said, watched(engine, own, lambda: table.batches):
        table.apply(events(SHIPPED, 1))
    assert [(line["session"], line["user"]) for line in said] == [(reader.number, "auditor")] * 2
    assert not reader.lives
    engine.dispose()


def test_where_sql_is_not_applied_yet_it_says_so_once(
    engine: Engine, settings: AnalyticsSettings, mariadb: MariaDB
) -> None:
    mariadb.execute("REVOKE SELECT ON locks.blocker FROM 'analytics'@'%'")
    try:
        with capture_logs() as said, watched(engine, settings):
            wait(lambda: said, "the word")
            time.sleep(5 * LOOK)
    finally:
        mariadb.execute("GRANT SELECT ON locks.blocker TO 'analytics'@'%'")
    assert [line["event"] for line in said] == ["who holds locks cannot be told: apply sql/ again"]
