import pytest

from tests.runtime.behaviour import Behaviour
from tests.runtime.fake_world import FakeWorld


class TestFakeWorld(Behaviour):
    @pytest.fixture
    def world(self) -> FakeWorld:
        return FakeWorld()
