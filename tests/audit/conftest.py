"""Stages for the auditor, on the one Kafka and the one MariaDB of the session."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from local.kafka import Kafka
from local.mariadb import MariaDB
from tests.audit.stage import Stage
from tests.audit.world import CANCELLED, COMPLETED, DROPPED_OUT

_numbers = count(1)


@pytest.fixture
def stage(kafka: Kafka, mariadb: MariaDB, tmp_path: Path) -> Iterator[Stage]:
    """An empty stage."""
    stage = Stage(kafka, mariadb, tmp_path, f"audit{next(_numbers)}")
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def stored(kafka: Kafka, mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A clean stage with everything stored. Who damages it repairs it."""
    stage = Stage(kafka, mariadb, tmp_path_factory.mktemp("stored"), f"audit{next(_numbers)}")
    for number in range(4):
        stage.live(number, *(COMPLETED, CANCELLED, DROPPED_OUT, COMPLETED)[number])
    stage.append("order", 0, b"key", b"no JSON")
    stage.append("checkout", 2, None, None)
    stage.store()
    yield stage
    stage.close()
