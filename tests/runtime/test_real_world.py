from collections.abc import Iterator

import pytest

from local.kafka import Kafka
from tests.runtime.behaviour import Behaviour
from tools.kit.real_world import RealWorld


class TestRealWorld(Behaviour):
    @pytest.fixture
    def world(self, kafka: Kafka) -> Iterator[RealWorld]:
        world = RealWorld(kafka.bootstrap)
        yield world
        world.close()
