"""Transitions per second through one service, beside a bare loop in the same run.

Both read the same submitted checkouts from a real broker and publish exactly once, one transaction per batch. The
bare loop parses JSON, changes a field, and produces. The service validates with pydantic in both directions, folds
its output topic, keeps timers, and makes two transitions of each checkout: NEW and MERCHANT_ACCEPTED.
"""

import json
import time
from collections.abc import Callable, Sequence

import confluent_kafka as ck

from order_service.rules import order_rules
from shop.runtime.clock import SystemClock
from shop.runtime.kafka.log import KafkaLog
from shop.runtime.limits import Limits
from shop.runtime.loop import Processor
from tools.bench.results import Figure
from tools.bench.stage import Stage, alternate, medians
from tools.kit.real_world import RealWorld
from tools.kit.samples import submitted
from tools.kit.world import PARTITIONS

CHECKOUTS, QUICK_CHECKOUTS = 60_000, 10_000
BATCH = 2000
AT_LEAST = 0.5


def fill(world: RealWorld, count: int) -> None:
    """Writes ``count`` submitted checkouts, spread over the partitions."""
    producer = ck.Producer(
        {"bootstrap.servers": world.bootstrap, "queue.buffering.max.messages": count, "linger.ms": 20}
    )
    for number in range(count):
        key, value = submitted(number)
        producer.produce(f"{world.namespace}checkout", value, key, number % PARTITIONS)
    assert producer.flush(60) == 0


def bare(world: RealWorld, count: int) -> float:
    """Messages per second of the bare loop."""
    world.create("bare")
    options = world.options("bare", "0", order_rules(seed=1, speed=1.0, dispute_rate=0.0))
    consumer = ck.Consumer(options.consumer() | {"auto.offset.reset": "earliest", "enable.partition.eof": False})
    consumer.subscribe([f"{world.namespace}checkout"])
    producer = ck.Producer(options.producer())
    producer.init_transactions(10)
    first = consumer.poll(30)
    began, done = time.perf_counter(), 0
    messages = [] if first is None else [first]
    while done < count:
        messages += consumer.consume(BATCH - len(messages), 0.05)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            event = json.loads(message.value() or b"")
            event["status"] = "NEW"
            producer.produce(f"{world.namespace}bare", json.dumps(event), message.key(), message.partition() or 0)
        producer.flush()
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 10
        )
        producer.commit_transaction(10)
        done += len(messages)
        messages = []
    rate = done / (time.perf_counter() - began)
    consumer.close()
    return rate


def ours(world: RealWorld, count: int) -> float:
    """Transitions per second of the order service on the runtime."""
    rules = order_rules(seed=1, speed=1_000_000.0, dispute_rate=0.0)
    log = KafkaLog(world.options("order", "0", rules))
    log.open(stop=lambda: False)
    processor = Processor(log, rules, SystemClock(), Limits(transaction_events=BATCH))
    while not processor.live:
        processor.step()
    # Like the bare loop it is timed from the first message on.
    while not processor.counts["read"]:
        began = time.perf_counter()
        processor.step()
    while processor.counts["published"] < 2 * count:
        processor.step()
    rate = processor.counts["published"] / (time.perf_counter() - began)
    log.close()
    return rate


def measure(stage: Stage) -> Sequence[Figure]:
    """The rate of both. The first round warms the broker up and does not count."""
    count = QUICK_CHECKOUTS if stage.quick else CHECKOUTS

    def beside(loop: Callable[[RealWorld, int], float]) -> Callable[[], float]:
        def measured() -> float:
            world = RealWorld(stage.kafka.bootstrap)
            fill(world, count)
            return loop(world, count)

        return measured

    bare_loop, service = beside(bare), beside(ours)
    bare_loop()
    rounds = alternate(stage.rounds, service, bare_loop)
    value, reference = medians(rounds)
    (ratio,) = medians([(mine / other,) for mine, other in rounds])
    return [Figure("runtime", round(value), "transitions/s", round(reference), round(ratio, 2), AT_LEAST)]
