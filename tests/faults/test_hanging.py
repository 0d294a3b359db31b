"""The broker is killed while a transaction is open, and leaves out that transaction's end for good (KAFKA-20734)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest
from structlog.testing import capture_logs

from local.kafka import Kafka
from shop.contract.lifecycle import OrderStatus
from shop.runtime.checkpoint import Checkpoint, Position
from shop.runtime.hanging import checksum
from shop.runtime.kafka.admin import Admin
from shop.runtime.log import TopicPartition
from tests.runtime.behaviour import order_of
from tools.kit.real_world import REPLY, RealWorld
from tools.kit.samples import submitted
from tools.kit.world import PARTITIONS, rules_of

OWN = TopicPartition("order", 0)
ABORTED = "a hanging transaction of this slot is aborted"
KEPT = "a hanging transaction cannot be aborted: its offsets may be committed"
ATTEMPTS = 5
"""The broker does not do it each time: where it is slow, it knows in time that it leads its partitions."""


@pytest.fixture
def forgetful(new_kafka: Callable[..., Kafka], tmp_path: Path) -> Iterator[Kafka]:
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


def hang(world: RealWorld, kafka: Kafka, number: int) -> None:
    """Leaves the NEW of an order hanging in its partition, published by slot 0, without committed offsets."""
    options = world.options("order", "0", rules_of("order"))
    producer = ck.Producer(options.producer() | {"transaction.timeout.ms": 1000})
    producer.init_transactions(REPLY)
    producer.begin_transaction()
    key, value = order_of(number, OrderStatus.NEW)
    producer.produce(options.broker_topics[0], value, key, OWN.partition)
    assert producer.flush(REPLY) == 0
    kafka.kill()
    producer.purge()
    kafka.start()
    kafka.wait_ready()


@pytest.mark.claim(
    "a hanging transaction is aborted by its slot, and what it held is decided again",
    section="transactions",
    tried="found by `make chaos`",
)
def test_what_the_broker_left_hanging_is_aborted_and_decided_again_by_its_slot(forgetful: Kafka) -> None:
    world = RealWorld(forgetful.bootstrap)
    events: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        number = attempt * PARTITIONS
        world.publish("checkout", OWN.partition, *submitted(number))
        hang(world, forgetful, number)
        with capture_logs() as logs:
            world.start("order")
            world.until_statuses("order", MERCHANT_ACCEPTED=attempt)
        assert world.statuses("order") == {"NEW": attempt, "MERCHANT_ACCEPTED": attempt}
        world.stop("order")
        events += [line["event"] for line in logs]
        if ABORTED in events:
            break
    assert ABORTED in events
    world.close()


def test_what_hangs_is_kept_where_its_offsets_are_committed(kafka: Kafka) -> None:
    """Somebody else's open transaction looks the same to those who read."""
    world = RealWorld(kafka.bootstrap)
    group = ck.Consumer({"bootstrap.servers": world.bootstrap, "group.id": f"{world.namespace}order"})
    options = world.options("order", "0", rules_of("order"))
    positions = {topic: Position(state.topic_id, 0) for topic, state in Admin(options).topics().items()}
    checkpoint = Checkpoint(OWN.partition, checksum(b"an event"), positions).committed()
    offsets = [options.theirs(topic_partition, *committed) for topic_partition, committed in checkpoint.items()]
    group.commit(offsets=offsets, asynchronous=False)
    world.open_transaction(*OWN, b"an event")
    with capture_logs() as logs:
        world.start("order")
        world.until(lambda: KEPT in [line["event"] for line in logs], "the service to see the hanging transaction")
    assert ABORTED not in [line["event"] for line in logs]
    world.stop("order")
    world.close()
