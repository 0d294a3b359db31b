import os
from collections.abc import Iterator

import pytest

from tests.runtime.behaviour import Behaviour
from tests.runtime.real_world import RealWorld


class TestRealWorld(Behaviour):
    @pytest.fixture
    def world(self) -> Iterator[RealWorld]:
        world = RealWorld(os.environ["B"])
        yield world
        world.close()
