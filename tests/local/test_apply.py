"""sql/ is applied although somebody's open transaction holds what it makes: within seconds, or with one sentence."""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymysql
import pytest

from local.errors import Refusal
from local.mariadb import MariaDB
from local.paths import ROOT

TIMEOUT = 2
SLACK = 20.0
"""Seconds that a busy machine may take for the rest. Who is not waited for at all takes a day."""
HELD = {
    "a view": "SELECT * FROM kpi_funnel",
    "a view that others are made of": "SELECT * FROM open_order",
    "a table": "SELECT * FROM checkout",
    "the last series": "SELECT * FROM kpi_events_minute",
    "a function": "SELECT kpi_window()",
    "a table that is locked": "SELECT * FROM `order` FOR UPDATE",
}

Open = Callable[[str], "pymysql.Connection[pymysql.cursors.Cursor]"]


@pytest.fixture(scope="module")
def applied(start_mariadb: Callable[[Path], MariaDB], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A database of its own with everything applied."""
    mariadb = start_mariadb(Path(tmp_path_factory.mktemp("applied")))
    yield mariadb
    mariadb.stop()


@pytest.fixture
def hold(applied: MariaDB) -> Iterator[Open]:
    """Opens a transaction of ``user`` that has asked something and goes to lunch."""
    opened: list[pymysql.Connection[pymysql.cursors.Cursor]] = []

    def asked(statement: str) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        connection = pymysql.connect(
            host="::1", port=applied.port, user="user", password="userpw", database="analytics"
        )
        opened.append(connection)
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(statement)
        return connection

    yield asked
    for connection in opened:
        if connection.open:
            connection.close()


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """sql/ with a view that is not as it was."""
    folder = tmp_path / "sql"
    shutil.copytree(ROOT / "sql", folder)
    with (folder / "040-analytics-kpis.sql").open("a") as file:
        file.write("CREATE OR REPLACE VIEW kpi_funnel AS SELECT 'changed' AS step_no;\n")
    return folder


@pytest.mark.parametrize("statement", HELD.values(), ids=HELD)
def test_what_has_not_changed_is_applied_again_or_left_as_it_is_within_seconds(
    applied: MariaDB, hold: Open, statement: str
) -> None:
    session = hold(statement).thread_id()  # type: ignore[no-untyped-call]
    said: list[str] = []
    began = time.monotonic()
    applied.apply(ROOT / "sql", said.append, TIMEOUT)
    assert time.monotonic() - began < TIMEOUT + SLACK
    assert all(f"session {session} (user from ::1:" in line and "\n" not in line for line in said)
    if "FROM kpi" in statement:
        assert said


def test_what_has_changed_and_is_held_is_refused_in_one_sentence_that_names_every_holder(
    applied: MariaDB, hold: Open, changed: Path
) -> None:
    sessions = [hold("SELECT * FROM kpi_funnel").thread_id() for _ in range(2)]  # type: ignore[no-untyped-call]
    began = time.monotonic()
    with pytest.raises(Refusal) as refused:
        applied.apply(changed, timeout=TIMEOUT)
    assert time.monotonic() - began < TIMEOUT + SLACK
    assert "040-analytics-kpis.sql cannot be applied: " in str(refused.value)
    assert all(f"session {session} (user from ::1:" in str(refused.value) for session in sessions)
    assert "\n" not in str(refused.value)


def test_a_later_reader_does_not_wait_longer_than_applying_does(applied: MariaDB, hold: Open, changed: Path) -> None:
    hold("SELECT * FROM kpi_funnel")
    with ThreadPoolExecutor() as pool:
        applying = pool.submit(applied.apply, changed, timeout=TIMEOUT)
        time.sleep(1)
        began = time.monotonic()
        hold("SELECT * FROM kpi_funnel")
        assert time.monotonic() - began < TIMEOUT + 1
        with pytest.raises(Refusal):
            applying.result()


def test_whoever_waits_for_a_view_by_hand_gives_up_after_seconds(applied: MariaDB, hold: Open) -> None:
    hold("SELECT * FROM kpi_funnel")
    began = time.monotonic()
    with pytest.raises(Refusal, match="ERROR 1205"):
        applied.execute("CREATE OR REPLACE VIEW analytics.kpi_funnel AS SELECT 1 AS one")
    assert 5 < time.monotonic() - began < 15


def test_what_has_changed_is_applied_once_the_holder_is_gone(applied: MariaDB, hold: Open, changed: Path) -> None:
    connection = hold("SELECT * FROM kpi_funnel")
    with ThreadPoolExecutor() as pool:
        applying = pool.submit(applied.apply, changed, timeout=30)
        time.sleep(1)
        assert not applying.done()
        connection.close()
        applying.result(20)
    assert applied.execute("SELECT * FROM analytics.kpi_funnel").split() == ["step_no", "changed"]
    applied.apply(ROOT / "sql")
    assert applied.execute("SELECT step_no FROM analytics.kpi_funnel").split() == ["step_no", "1", "2", "3"]
