"""Transitions per second through one service, beside a bare loop in the same run.

Both read the same submitted checkouts from a real broker and publish exactly once, one transaction per batch. The
bare loop parses JSON, changes a field, and produces. The service validates with pydantic in both directions, folds
its own topic, keeps timers, and makes two transitions of each checkout: NEW and MERCHANT_ACCEPTED.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import confluent_kafka as ck
import structlog

from bench.results import Figure, record
from order_service.rules import order_rules
from shop.edges.process import collect_seldom
from shop.runtime.clock import SystemClock
from shop.runtime.kafka import KafkaLog
from shop.runtime.limits import Limits
from shop.runtime.loop import Processor
from tests.runtime.real_world import RealWorld
from tests.runtime.world import PARTITIONS
from tests.samples import submitted
from tests.stack import start_kafka

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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=60_000, help="submitted checkouts to work on")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40), cache_logger_on_first_use=True)
    collect_seldom()
    with tempfile.TemporaryDirectory(prefix="bench") as home:
        kafka = start_kafka(Path(home))
        try:
            rates = []
            for number in range(options.rounds):
                world = RealWorld(kafka.bootstrap)
                fill(world, options.count)
                loops = [bare, ours] if number % 2 == 0 else [ours, bare]
                result = {loop.__name__: loop(world, options.count) for loop in loops}
                rates.append((result["ours"], result["bare"]))
                print(f"round {number + 1}: ours {rates[-1][0]:,.0f}/s, bare {rates[-1][1]:,.0f}/s", flush=True)
        finally:
            kafka.stop()
    value, reference = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(mine / other for mine, other in rates)
    record(Figure("runtime", round(value), "transitions/s", round(reference), round(ratio, 2), AT_LEAST))
    print(
        f"runtime: {value:,.0f} transitions/s, bare loop {reference:,.0f}/s, ratio {ratio:.2f}, at least {AT_LEAST}"
    )


if __name__ == "__main__":
    main()
