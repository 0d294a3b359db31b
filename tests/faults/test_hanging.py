"""The broker is killed while a transaction is open, and leaves out that transaction's end for good (KAFKA-20734)."""

from collections.abc import Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest
from structlog.testing import capture_logs

from local.kafka import Kafka
from shop.contract.lifecycle import OrderStatus
from shop.runtime.log import TopicPartition
from shop.runtime.unfinished import mark
from tests.runtime.behaviour import order_of
from tests.runtime.real_world import REPLY, RealWorld
from tests.runtime.world import rules_of
from tests.samples import submitted
from tests.stack import new_kafka

pytestmark = pytest.mark.broker

OWN = TopicPartition("order", 0)
UNFINISHED = order_of(0, OrderStatus.NEW)


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    """Looks for transactions whose time is up as soon as it runs again. The session of its former life is valid then.
    When that ends it leads nothing for a moment, and takes the partitions that are to be told for deleted."""
    properties = {
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200,
        "broker.session.timeout.ms": 10_000,
    }
    kafka = new_kafka(tmp_path, heap_mb=256, properties=properties)
    kafka.start()
    kafka.wait_ready()
    yield kafka
    kafka.kill()


def hang(world: RealWorld, kafka: Kafka) -> None:
    """Leaves the NEW of an order hanging in its partition, published by slot 0, without stored offsets."""
    options = world.options("order", "0", rules_of("order"))
    producer = ck.Producer(options.producer() | {"transaction.timeout.ms": 1000})
    producer.init_transactions(REPLY)
    producer.begin_transaction()
    key, value = UNFINISHED
    producer.produce(options.topics[0], value, key, OWN.partition)
    assert producer.flush(REPLY) == 0
    kafka.kill()
    producer.purge()
    kafka.start()
    kafka.wait_ready()


def test_what_the_broker_left_hanging_is_aborted_and_decided_again_by_its_slot(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    world.publish("checkout", OWN.partition, *submitted(0))
    hang(world, kafka)
    with capture_logs() as logs:
        world.start("order")
        world.until_statuses("order", MERCHANT_ACCEPTED=1)
    assert "what a former transaction left pending is aborted" in [line["event"] for line in logs]
    assert world.statuses("order") == {"NEW": 1, "MERCHANT_ACCEPTED": 1}
    world.stop("order")
    world.close()


def test_what_the_broker_left_hanging_is_kept_where_its_offsets_are_stored(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    hang(world, kafka)
    group = ck.Consumer({"bootstrap.servers": world.bootstrap, "group.id": f"{world.namespace}order"})
    offset = ck.TopicPartition(world.namespace + OWN.topic, OWN.partition, 0, f" {mark(UNFINISHED[1])}")
    group.commit(offsets=[offset], asynchronous=False)
    with capture_logs() as logs:
        processor = world.start("order")
        kept = "what hangs cannot be aborted: its offsets may be stored"
        world.until(lambda: kept in [line["event"] for line in logs], "the service to see what hangs")
    assert "what a former transaction left pending is aborted" not in [line["event"] for line in logs]
    assert not processor.live
    world.stop("order")
    world.close()
