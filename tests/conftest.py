"""One real Kafka and one real MariaDB for the whole session, started when the first test asks for them.

What a test needs is said by its fixtures, from which its marks come. One without a mark can start no server.
"""

import logging
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog

import tests.examples  # noqa: F401 (registers the profiles before one is chosen)
from local import programs
from local.cluster import Cluster
from local.kafka import Kafka
from local.mariadb import MariaDB
from local.server import Server
from tests.local.checkout import Checkout, NewCheckout
from tools.kit import stack

LAST_LINES = 15
NEEDS = {
    "broker": {"kafka", "new_kafka", "new_cluster", "new_checkout"},
    "database": {"mariadb", "new_mariadb", "start_mariadb", "new_checkout"},
    "compose": {"brought_up"},
    "packages": {"package_index"},
}
"""By mark: the fixtures of which a test that has it uses one, by whatever way."""
SERVERS = ("broker", "database", "compose")
NO_JAVA = Path(__file__).with_name("no_java")
"""A JAVA_HOME whose Java starts nothing and says why."""


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
    kafka, mariadb = stack.start_both(Path(tmp_path_factory.mktemp("servers")))
    yield kafka, mariadb
    kafka.stop()
    mariadb.stop()


@pytest.fixture(scope="session")
def kafka(servers: tuple[Kafka, MariaDB]) -> Kafka:
    return servers[0]


@pytest.fixture(scope="session")
def mariadb(servers: tuple[Kafka, MariaDB]) -> MariaDB:
    return servers[1]


@pytest.fixture(scope="session")
def new_kafka() -> Callable[..., Kafka]:
    """For a test with a broker of its own: tools.kit.stack.new_kafka."""
    return stack.new_kafka


@pytest.fixture(scope="session")
def new_cluster() -> Callable[[Path], Cluster]:
    """For a test with three brokers of its own: tools.kit.stack.new_cluster."""
    return stack.new_cluster


@pytest.fixture(scope="session")
def new_mariadb() -> Callable[..., MariaDB]:
    """For a test with an empty database server of its own: tools.kit.stack.new_mariadb."""
    return stack.new_mariadb


@pytest.fixture(scope="session")
def start_mariadb() -> Callable[[Path], MariaDB]:
    """For a test with a database server of its own with all tables: tools.kit.stack.start_mariadb."""
    return stack.start_mariadb


@pytest.fixture(scope="session")
def new_checkout() -> NewCheckout:
    """For a test in which `make` starts the servers of a checkout of its own."""
    return Checkout.with_servers


@pytest.fixture
def package_index() -> None:
    """For a test that installs packages, as pip is told to."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test with what it needs."""
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        for mark, fixtures in NEEDS.items():
            if used & fixtures:
                item.add_marker(mark)
    # The short files without servers come last: they fill up what is left when most is done.
    long = {item.path for item in items if any(map(item.get_closest_marker, SERVERS))}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Lets no test start a server, itself or by `make`, that has no fixture which says so."""
    with pytest.MonkeyPatch.context() as patch:
        if not any(item.get_closest_marker(mark) for mark in SERVERS):
            patch.setattr(programs, "ready", _refuse)
            patch.setattr(Server, "start", _refuse)
            patch.setenv("JAVA_HOME", str(NO_JAVA))
        return (yield)


def _refuse(*_: object, **__: object) -> NoReturn:
    pytest.fail("This test has no fixture that may start servers: it needs one of tests/conftest.py")


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
