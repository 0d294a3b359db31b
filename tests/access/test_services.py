"""The services log in, each as itself, and say in one sentence what the broker does not let them do."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.kafka import Kafka
from local.mariadb import MariaDB
from local.paths import ROOT
from shop.contract.ids import order_id_of
from tests.access.conftest import init_kafka
from tests.access.visitor import ANONYMOUS, Visitor
from tools.kit import databases
from tools.kit.real_world import read_committed
from tools.kit.shop import SERVICES, Service, wait_until

Start = Callable[..., Service]
SHOPPER = ROOT / "docs" / "replace-a-service.md"


@pytest.fixture
def start(guarded: Kafka, mariadb: MariaDB, tmp_path: Path) -> Iterator[Start]:
    """Starts a service as users do: with the defaults, but for the addresses and the pace."""
    ours = databases.create(mariadb, uuid.uuid4().hex[:8])
    started: list[Service] = []

    def start_one(name: str, **settings: str) -> Service:
        environment = {
            "KAFKA_BOOTSTRAP": guarded.login,
            "MARIADB_PORT": str(mariadb.port),
            "MARIADB_DATABASE": ours.fulfillment if name == "fulfillment" else ours.analytics,
            "LOG_FORMAT": "json",
            "SPEED": "100",
            "CONVERSION": "0.5",
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "shared", *SERVICES)),
        }
        log = tmp_path / f"{name}-{len(started)}.log"
        started.append(Service([sys.executable, "main.py"], ROOT / name, os.environ | environment | settings, log))
        return started[-1]

    yield start_one
    for service in started:
        service.stop()
    ours.drop(mariadb)


def test_orders_are_completed_and_stored_while_everybody_does_only_what_he_may(start: Start, guarded: Kafka) -> None:
    for name in SERVICES:
        start(name)

    def completed() -> bool:
        return any(b'"COMPLETED"' in (one.value or b"") for one in read_committed(guarded.bootstrap, "", "order"))

    wait_until(completed, "a completed order")
    analytics = start("analytics", INSTANCE="1")
    analytics.until_logged("stored")


@pytest.mark.parametrize("name", SERVICES)
def test_a_wrong_password_ends_a_service_at_once_and_is_not_shown(start: Start, guarded: Kafka, name: str) -> None:
    refused = start(name, KAFKA_PASSWORD="a-wrong-one")
    sentence = refused.sentence()
    assert sentence.startswith(f"error: Kafka at {guarded.login} does not let user {name} in: ")
    assert "KAFKA_PASSWORD" in sentence
    assert "a-wrong-one" not in refused.log.read_text()


def test_a_service_that_logs_in_as_another_one_is_told_what_it_may_not_do(start: Start) -> None:
    sentence = start("order", KAFKA_USER="checkout", KAFKA_PASSWORD="checkoutpw").sentence()
    assert "does not let user checkout" in sentence
    assert "order" in sentence


@pytest.fixture(scope="module")
def opened(guarded: Kafka) -> Iterator[Kafka]:
    """The broker while anybody may write to topic checkout."""
    assert "anybody may write checkout" in init_kafka(guarded, OPEN_TOPICS="checkout")
    yield guarded
    init_kafka(guarded)


def test_an_opened_topic_is_written_by_anybody_and_its_service_refuses_to_start(start: Start, opened: Kafka) -> None:
    visitor = Visitor(opened, ANONYMOUS)
    assert visitor.writes("checkout")
    assert not visitor.writes("order")
    assert visitor.uses_transactional_id("a-team-0")
    assert not visitor.uses_transactional_id("checkout-0")
    assert not Visitor(opened, "checkout").writes("checkout")
    assert "OPEN_TOPICS" in start("checkout").sentence()


def test_the_shopper_of_the_documentation_needs_nothing_but_the_address(start: Start, opened: Kafka) -> None:
    (script,) = [
        block for block in re.findall(r"```python\n(.*?)```", SHOPPER.read_text(), re.DOTALL) if "Producer" in block
    ]
    assert len(script.strip().splitlines()) <= 20
    assert "[::1]:9092" in script
    for name in ("order", "fulfillment"):
        start(name)
    subprocess.run([sys.executable, "-c", script.replace("[::1]:9092", opened.bootstrap)], check=True, text=True)
    values = [one.value or b"" for one in read_committed(opened.bootstrap, "", "checkout")]
    submitted = next(json.loads(value) for value in values if b"blue-teapot" in value)
    ours = order_id_of(submitted["checkout_id"]).encode()

    def completed() -> bool:
        orders = read_committed(opened.bootstrap, "", "order")
        return any(one.key == ours and b'"COMPLETED"' in (one.value or b"") for one in orders)

    wait_until(completed, "the order to be completed")


def test_a_topic_that_is_closed_again_is_its_service_s_alone(opened: Kafka) -> None:
    init_kafka(opened)
    assert not Visitor(opened, ANONYMOUS).writes("checkout")
    assert Visitor(opened, "checkout").writes("checkout")
