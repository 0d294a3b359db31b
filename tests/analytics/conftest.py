"""Each test has topics of its own, on the session's Kafka, and the database to itself, emptied."""

import contextlib
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from analytics_service.ingest.store import writer
from analytics_service.settings import AnalyticsSettings
from local.kafka import Kafka
from local.mariadb import MariaDB
from tests.analytics.facts import Facts
from tests.analytics.world import Shop
from tools.kit import databases
from tools.kit.business import TopicContents
from tools.kit.databases import Databases

TABLES = (
    *("checkout", "`order`", "fulfillment", "cart_item", "shipping_address", "dead_letter"),
    *("accepted_loss", "log_partition", "kafka_log"),
)
_numbers = count(1)


@pytest.fixture(scope="session")
def shared_databases(mariadb: MariaDB) -> Databases:
    """The databases that the tests of this folder use one after the other: making them takes a second."""
    return databases.create(mariadb, "analytics_tests")


@pytest.fixture
def database(shared_databases: Databases, mariadb: MariaDB) -> str:
    """The name of an empty analytics database."""
    mariadb.execute(f"USE {shared_databases.analytics};" + "".join(f"DELETE FROM {table};" for table in TABLES))
    return shared_databases.analytics


@pytest.fixture
def engine(mariadb: MariaDB, database: str) -> Iterator[Engine]:
    """The writer's connections to an empty database."""
    made = writer(AnalyticsSettings(mariadb_port=mariadb.port, mariadb_database=database))
    yield made
    made.dispose()


@pytest.fixture
def facts(engine: Engine, mariadb: MariaDB, database: str) -> Facts:
    """An empty database to put rows into."""
    return Facts(engine, mariadb.port, database)


@pytest.fixture
def empty_shop(kafka: Kafka, mariadb: MariaDB, database: str, tmp_path: Path) -> Iterator[Shop]:
    """A shop without topics."""
    namespace = f"a{next(_numbers)}."
    bootstrap = f"[::1]:{kafka.port}"
    root = create_engine(f"mysql+pymysql://root@/{database}?unix_socket={mariadb.socket}")
    shop = Shop(bootstrap, mariadb.port, database, namespace, tmp_path, TopicContents(bootstrap, namespace), root)
    yield shop
    for service in shop.services:
        with contextlib.suppress(ProcessLookupError):
            service.signal(signal.SIGKILL)
        service.ended()
    root.dispose()


@pytest.fixture
def shop(empty_shop: Shop) -> Shop:
    """A shop with its three topics."""
    empty_shop.topics.create()
    return empty_shop
