"""docker-compose.cluster.yml on top: any one broker may be lost."""

from collections.abc import Iterator

import pytest

from tests.compose.stack import SERVICES, BringUp, Stack, docker

pytestmark = pytest.mark.timeout(900)

BROKERS = ("kafka", "kafka-2", "kafka-3")


@pytest.fixture(scope="module")
def stack(brought_up: BringUp) -> Iterator[Stack]:
    yield from brought_up("docker-compose.yml", "docker-compose.cluster.yml")


def test_a_broker_is_killed_and_comes_back_while_orders_are_completed(stack: Stack) -> None:
    stack.compose("up", "-d")
    stack.wait_healthy(*BROKERS, "mariadb")
    stack.wait_healthy(*SERVICES, count=2)
    stack.wait_for_more_completed()
    (lost,) = stack.containers("kafka-2")
    docker("kill", lost.name)
    stack.wait_for_more_completed()
    docker("start", lost.name)
    stack.wait_healthy(*BROKERS)
    stack.wait_for_more_completed()
    stack.must_be_clean("--stuck-after", "600")
