"""`make run-cluster`: three brokers and every service twice, with services that only wait."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.local.checkout import SERVICES, Checkout, NewCheckout, refusal

ENDS_WITHIN = 10.0


@pytest.fixture
def checkout(new_checkout: NewCheckout, tmp_path: Path) -> Iterator[Checkout]:
    checkout = new_checkout(tmp_path / "checkout")
    yield checkout
    checkout.end_all()


# Some forty Java machines are started: that takes minutes where other programs have the processors.
@pytest.mark.timeout(600)
def test_three_brokers_and_every_service_twice_start_and_end(checkout: Checkout) -> None:
    running = checkout.start("run-cluster")
    running.wait_for("all started", within=400)
    logins = ",".join(f"[::1]:{checkout.kafka_port + distance + 2}" for distance in (0, 100, 200))
    for service in SERVICES:
        for instance in (0, 1):
            name = f"{service}-{instance}"
            running.wait_for(f"{name:<13} | runs on {logins} ::1 {checkout.mariadb_port}")
            running.wait_for(f"{name:<13} | is instance {instance} with HTTP_PORT {'911' if instance else 'None'}")
    admin = AdminClient({"bootstrap.servers": f"[::1]:{checkout.kafka_port}"})
    topics = admin.list_topics(timeout=10).topics
    assert {len(topics[name].partitions[0].replicas) for name in ("checkout", "order", "fulfillment")} == {3}
    assert refusal(checkout.make("run")).startswith("make run-cluster is at work in this checkout: end it first")
    began = time.monotonic()
    running.interrupt()
    running.wait(ENDS_WITHIN)
    assert time.monotonic() - began < ENDS_WITHIN
    assert checkout.processes() == {}
    assert "Traceback" not in running.log


def test_a_cluster_does_not_use_the_one_broker_that_is_up(checkout: Checkout) -> None:
    assert checkout.make("up").returncode == 0
    assert refusal(checkout.make("run-cluster")).startswith("What make up started is one broker")
