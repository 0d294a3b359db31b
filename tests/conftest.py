"""One real Kafka and one real MariaDB for the whole session, started when the first test asks for them."""

import logging
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog

from local.kafka import Kafka
from local.mariadb import MariaDB
from tools.kit.stack import start_both

LAST_LINES = 15


@pytest.fixture(scope="session", autouse=True)
def no_debug_lines() -> None:
    """A line per event would drown what a failing test has to say."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard() -> None:
    """A shell ignores SIGINT for what it starts in the background, and what is started from there inherits that: no
    test could interrupt anything."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kafka, MariaDB]]:
    kafka, mariadb = start_both(Path(tmp_path_factory.mktemp("servers")))
    yield kafka, mariadb
    kafka.stop()
    mariadb.stop()


@pytest.fixture(scope="session")
def kafka(servers: tuple[Kafka, MariaDB]) -> Kafka:
    return servers[0]


@pytest.fixture(scope="session")
def mariadb(servers: tuple[Kafka, MariaDB]) -> MariaDB:
    return servers[1]


@pytest.fixture(autouse=True)
def no_error_in_a_callback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Clients call back from their own code, where an exception is only logged: it fails the test all the same."""
    yield
    logged = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    errors = [record.getMessage() for record in logged if record.levelno >= logging.ERROR and record.exc_info]
    assert not errors, f"logged in a callback: {errors}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what the services of a failed test said last: their logs may be on a machine that is gone by then."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder is not None:
        for log in sorted(folder.glob("*.log")):
            report.sections.append((log.name, "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have measured (``record_property``), below their results."""
    measured = [one for report in terminalreporter.getreports("passed") for one in report.user_properties]
    if measured:
        terminalreporter.section("measured")
        for what, value in measured:
            terminalreporter.write_line(f"{what}: {value}")
