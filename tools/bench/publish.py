"""How fast checkout opens checkouts, beside a bare producer of the same bytes in transactions of that size."""

import time
from collections.abc import Sequence
from random import Random

import confluent_kafka as ck

from checkout_service.arrivals import Arrivals
from checkout_service.catalogue import Catalogue
from checkout_service.customers import Customers
from checkout_service.pace import Pace
from checkout_service.rules import checkout_rules
from shop.runtime.clock import SystemClock
from shop.runtime.kafka.log import KafkaLog
from shop.runtime.limits import Limits
from shop.runtime.log import Record
from shop.runtime.loop import Processor
from tools.bench.results import Figure
from tools.bench.stage import PARTITIONS, Stage, alternate, medians
from tools.kit.real_world import RealWorld

MESSAGES, QUICK_MESSAGES = 200_000, 20_000
CUSTOMERS = 2000
FULL_SPEED = 1_000_000.0
NOBODY = 1e-9
AT_LEAST = 0.30


def measure(stage: Stage) -> Sequence[Figure]:
    """Checkouts opened per second, and nothing else: nobody goes on to the next step."""
    wanted = QUICK_MESSAGES if stage.quick else MESSAGES
    customers = Customers(1, CUSTOMERS)
    records: list[Record] = []

    def ours() -> float:
        world = RealWorld(stage.kafka.bootstrap, PARTITIONS)
        rate = _opened(world, customers, wanted)
        records[:] = world.records("checkout")
        return rate

    ours()
    rounds = alternate(stage.rounds, ours, lambda: _bare(RealWorld(stage.kafka.bootstrap, PARTITIONS), records))
    value, reference = medians(rounds)
    (ratio,) = medians([(mine / bare,) for mine, bare in rounds])
    return [Figure("publish", round(value), "messages/s", round(reference), round(ratio, 2), AT_LEAST)]


def _opened(world: RealWorld, customers: Customers, wanted: int) -> float:
    rules = checkout_rules(seed=1, speed=1.0, conversion=NOBODY, address_of=customers.address_of)
    log = KafkaLog(world.options("checkout", "0", rules))
    log.open(stop=lambda: False)
    random = Random(1)
    source = Arrivals(Pace(FULL_SPEED, 0.0, 1.0, random), Catalogue(1), customers.user_ids, random)
    processor = Processor(log, rules, SystemClock(), Limits(), source=source)
    while not processor.live:
        processor.step()
    began = time.perf_counter()
    while processor.counts["published"] < wanted:
        processor.step()
    rate = processor.counts["published"] / (time.perf_counter() - began)
    log.close()
    return rate


def _bare(world: RealWorld, records: Sequence[Record]) -> float:
    rules = checkout_rules(seed=1, speed=1.0, conversion=NOBODY, address_of=lambda _: None)  # type: ignore[arg-type, return-value]
    producer = ck.Producer(world.options("checkout", "0", rules).producer())
    producer.init_transactions(10)
    topic, size = f"{world.namespace}checkout", Limits().transaction_events
    began = time.perf_counter()
    for start in range(0, len(records), size):
        producer.begin_transaction()
        for _, partition, _, _, key, value in records[start : start + size]:
            producer.produce(topic, value, key, partition)
        producer.commit_transaction(10)
    return len(records) / (time.perf_counter() - began)
