"""What the command reads of the topic, and what it refuses."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from local.binaries import ROOT
from local.kafka import Kafka
from local.server import free_port
from shop.contract.events import serialize
from shop.contract.lifecycle import CheckoutStatus
from tests.truth.command import run_truth
from tools.kit.real_world import REPLY, RealWorld
from tools.kit.samples import checkout
from tools.kit.shop import wait_until
from tools.kit.world import PARTITIONS

SERVICES = ("checkout", "order", "fulfillment", "analytics")


@pytest.fixture
def world(kafka: Kafka) -> Iterator[RealWorld]:
    world = RealWorld(kafka.bootstrap)
    yield world
    world.close()


def environment(world: RealWorld, **settings: str) -> Mapping[str, str]:
    path = os.pathsep.join(str(ROOT / part) for part in (".", "shared", *SERVICES))
    ours = {"KAFKA_BOOTSTRAP": world.bootstrap, "KAFKA_USER": "", "NAMESPACE": world.namespace, "PYTHONPATH": path}
    return os.environ | ours | {"CONVERSION": "1", "DISPUTE_RATE": "0"} | settings


def publish(world: RealWorld, number: int, status: CheckoutStatus = CheckoutStatus.CREATED) -> None:
    event = checkout(number, status)
    world.publish("checkout", number % PARTITIONS, event.key.encode(), serialize(event))


def truth(world: RealWorld, *options: str) -> dict[str, Any]:
    done = run_truth(environment(world), "--json", *options)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def refusal(world: RealWorld, *options: str, **settings: str) -> str:
    """The one sentence that it ends with."""
    done = run_truth(environment(world, **settings), *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    sentence = done.stderr.strip().splitlines()[-1]
    assert "error: " in sentence
    return sentence


def test_only_committed_created_events_count_and_each_checkout_once(world: RealWorld) -> None:
    for number in range(12):
        publish(world, number)
    publish(world, 3)
    for status in (CheckoutStatus.ADDRESS_SUBMITTED, CheckoutStatus.SUBMITTED):
        publish(world, 50, status)
    for value in (b"nonsense", None, b"{}"):
        world.publish("checkout", 0, b"key", value)
    abort = world.open_transaction("checkout", 1, serialize(checkout(60, CheckoutStatus.CREATED)))
    publish(world, 1 + PARTITIONS * 20)

    hidden = truth(world)
    abort()
    wait_until(lambda: truth(world)["checkout"]["created"] == 13, "what was behind the transaction")

    assert hidden["checkout"]["created"] == 12, "what an open transaction hides is not there yet"
    assert hidden["order_cohort"]["completed"] == 12
    assert {row["topic"]: row["events"] for row in hidden["events"]} == {
        "checkout": 4 * 12,
        "order": 4 * 12,
        "fulfillment": 2 * 12,
    }


def test_a_checkout_was_created_when_it_was_first_opened(world: RealWorld) -> None:
    publish(world, 1)
    first = max(record.timestamp for record in world.records("checkout"))
    later = datetime.fromtimestamp(first + 0.001, UTC).isoformat()
    wait_until(lambda: time.time() > first + 0.002, "the next millisecond")
    publish(world, 1)
    publish(world, 2)

    assert truth(world, "--from", later)["checkout"]["created"] == 1
    assert truth(world, "--to", later)["checkout"]["created"] == 1
    assert truth(world)["checkout"]["created"] == 2


def test_an_empty_topic_has_an_empty_truth(world: RealWorld) -> None:
    assert truth(world)["checkout"] == {
        "created": 0,
        "submitted": 0,
        "conversion": None,
        "abandoned": 0,
        "abandonment": None,
    }


def test_people_see_the_same_figures_as_tables_with_the_settings_below(world: RealWorld) -> None:
    for number in range(7):
        publish(world, number)

    done = run_truth(environment(world, COLUMNS="80"))

    assert done.returncode == 0, done.stderr
    for word in ("funnel", "order_cohort", "top_product", "blue-teapot", "278.60", "EUR", "CONVERSION=1.0"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_missing_topic_is_named(world: RealWorld) -> None:
    name = f"{world.namespace}checkout"
    world.admin.delete_topics([name])[name].result(REPLY)
    wait_until(lambda: name not in world.admin.list_topics(timeout=REPLY).topics, "the topic to be gone")

    sentence = refusal(world)

    assert name in sentence
    assert "init-kafka.sh" in sentence
    world.create("checkout")


def test_a_broker_that_is_away_is_named(world: RealWorld) -> None:
    address = f"[::1]:{free_port()}"

    sentence = refusal(world, KAFKA_BOOTSTRAP=address)

    assert address in sentence
    assert "KAFKA_BOOTSTRAP" in sentence


def test_a_wrong_setting_or_time_is_named(world: RealWorld) -> None:
    assert "CONVERSION" in refusal(world, CONVERSION="much")
    for no_time in ("yesterday", "0001-01-01T00:00+10:00"):
        assert f"--from {no_time} is no time" in refusal(world, "--from", no_time)
    assert "--from must be" in refusal(world, "--from", "2027-01-15T09:00Z", "--to", "2027-01-15T10:00+02:00")
