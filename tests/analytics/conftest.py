"""Each test has its own topics and its own database, on the one Kafka and the one MariaDB of the session."""

import contextlib
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from local.kafka import Kafka
from local.mariadb import MariaDB
from sqlalchemy import create_engine

from tests import databases
from tests.analytics.business import Topics
from tests.analytics.world import Shop

_numbers = count(1)


@pytest.fixture
def empty_shop(kafka: Kafka, mariadb: MariaDB, tmp_path: Path) -> Iterator[Shop]:
    """A shop without topics."""
    number = next(_numbers)
    names = databases.create(mariadb, f"a{number}")
    namespace = f"a{number}."
    bootstrap = f"[::1]:{kafka.port}"
    root = create_engine(f"mysql+pymysql://root@/{names.analytics}?unix_socket={mariadb.socket}")
    topics = Topics(bootstrap, namespace)
    shop = Shop(bootstrap, mariadb.port, names.analytics, namespace, tmp_path, topics, root)
    yield shop
    for service in shop.services:
        with contextlib.suppress(ProcessLookupError):
            service.signal(signal.SIGKILL)
        service.ended()


@pytest.fixture
def shop(empty_shop: Shop) -> Shop:
    """A shop with its three topics."""
    empty_shop.topics.create()
    return empty_shop
