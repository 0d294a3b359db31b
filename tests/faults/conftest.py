from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kafka import Kafka
from local.mariadb import MariaDB
from tools.kit.shop import Shop


@pytest.fixture
def shop(kafka: Kafka, mariadb: MariaDB, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(kafka, mariadb, tmp_path)
    yield shop
    shop.close()
