"""`make bench-restore`: what it takes to restore a service from the first records, its committed offsets being gone.

Six million checkouts lie in the topics, with all that became of them, as in a week of ten a second. Each service must
read them within the memory that docker-compose.yml gives it, and publish nothing. It takes half an hour, and 9 GB
below TMPDIR.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from checkout_service.rules import checkout_rules
from shop.contract.chance import draws
from shop.contract.events import Event, Fulfillment, Order, make, serialize
from shop.contract.ids import fulfillment_id_of, order_id_of, time_ordered_id
from shop.contract.lifecycle import CheckoutStatus, FulfillmentStatus, OrderStatus
from shop.edges.process import tune_interpreter
from tools.bench.results import Figure, record
from tools.bench.stage import PARTITIONS, Stage, stage, wait_until
from tools.bench.traffic import DEFAULTS, writer
from tools.kit.samples import ADDRESS, checkout
from tools.kit.shop import Service, Shop

CHECKOUTS, QUICK_CHECKOUTS = 6_000_000, 60_000
CONVERSION = 0.07
LIMIT_MB = 144
"""``mem_limit`` of a service in docker-compose.yml."""
LONGEST = 3600.0
ORDER_LIFE = (OrderStatus.NEW, OrderStatus.MERCHANT_ACCEPTED, OrderStatus.SHIPPED, OrderStatus.COMPLETED)


class Template:
    """An event into which ids are put, without making it anew each time."""

    def __init__(self, event: Event, *ids: str) -> None:
        self.topic = event.topic
        parts = [serialize(event)]
        for name in ids:
            parts = [piece for part in parts for piece in _split(part, name.encode())]
        self._parts = parts
        self._topic_partitions = [
            (at, ids.index(part.decode())) for at, part in enumerate(parts) if part.decode() in ids
        ]

    def value(self, *ids: bytes) -> bytes:
        parts = self._parts.copy()
        for at, which in self._topic_partitions:
            parts[at] = ids[which]
        return b"".join(parts)


def _split(part: bytes, name: bytes) -> Iterator[bytes]:
    before, *rest = part.split(name)
    yield before
    for one in rest:
        yield name
        yield one


def lives(count: int) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Topic, partition, key and value of every event of so many checkouts, each of which lives as chance has it."""
    random, rules = Random(1), checkout_rules(seed=1, speed=1.0, conversion=CONVERSION, address_of=lambda _: ADDRESS)
    sample = checkout(0)
    order_id = order_id_of(sample.checkout_id)
    fulfillment_id = fulfillment_id_of(order_id)
    opened = [Template(checkout(0, status), sample.checkout_id) for status in CheckoutStatus]
    own = {"order_id": order_id, "created_at": sample.created_at, "updated_at": sample.updated_at}
    ordered = [
        Template(make(Order, vars(sample) | own | {"status": status}), order_id, sample.checkout_id)
        for status in ORDER_LIFE
    ]
    filled = [
        Template(
            make(Fulfillment, own | {"fulfillment_id": fulfillment_id, "status": status}), order_id, fulfillment_id
        )
        for status in FulfillmentStatus
    ]
    first = int(time.time() * 1000) - count * 100
    for number in range(count):
        checkout_id = time_ordered_id(first + number * 100, random.getrandbits(74))
        chance, key, partition = draws(1, checkout_id), checkout_id.encode(), number % PARTITIONS
        yield "checkout", partition, key, opened[0].value(key)
        for rule, template in zip(rules.table, opened[1:], strict=True):
            if callable(rule.becomes) and rule.becomes(chance) is None:
                break
            yield "checkout", partition, key, template.value(key)
        else:
            name = order_id_of(checkout_id)
            order, fulfillment = name.encode(), fulfillment_id_of(name).encode()
            new, accepted, shipped, completed = (template.value(order, key) for template in ordered)
            yield "order", partition, order, new
            yield "order", partition, order, accepted
            yield "fulfillment", partition, order, filled[0].value(order, fulfillment)
            yield "order", partition, order, shipped
            yield "fulfillment", partition, order, filled[1].value(order, fulfillment)
            yield "order", partition, order, completed


def fill(shop: Shop, count: int) -> None:
    producer = writer(shop.world.bootstrap)
    for number, (topic, partition, key, value) in enumerate(lives(count)):
        while True:
            try:
                producer.produce(shop.world.namespace + topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 2_000_000 == 0:
            print(f"  {number:,} written", flush=True)
    assert producer.flush(60) == 0


def peak_mb(service: Service) -> float:
    """The most memory that the process ever took, in units of 2^20 bytes, as Docker counts them."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def restored(shop: Shop, name: str) -> tuple[float, float]:
    """Seconds until the service has read everything, and its peak of memory in MB."""
    before, began = shop.world.ends(), time.monotonic()
    service = shop.start(name, CHECKOUT_RATE="0", DISPUTE_RATE="0", CONVERSION=str(CONVERSION))

    def done() -> bool:
        assert service.process.poll() is None, service.log.read_text()[-2000:]
        committed = shop.world.committed(name) if service.has_logged("caught up") else {}
        time.sleep(1)
        inputs = {
            topic_partition: one.offset for topic_partition, one in committed.items() if topic_partition.topic != name
        }
        return bool(committed) and all(
            offset >= before[topic_partition] for topic_partition, offset in inputs.items()
        )

    wait_until(done, f"{name} to have read all", LONGEST)
    seconds, peak = time.monotonic() - began, peak_mb(service)
    service.stop()
    published = {
        topic_partition for topic_partition, end in shop.world.ends().items() if end != before[topic_partition]
    }
    assert not published, f"{name} has published to {published}"
    print(f"  {name}: {seconds:.0f} s, {peak:.0f} MB", flush=True)
    return seconds, peak


def measure(servers: Stage) -> list[Figure]:
    """The peak of memory of the three publishing services."""
    shop = Shop(servers.kafka, servers.mariadb, servers.folder, speed=1.0, partitions=PARTITIONS)
    shop.environment |= DEFAULTS
    try:
        fill(shop, QUICK_CHECKOUTS if servers.quick else CHECKOUTS)
        peaks = {name: restored(shop, name)[1] for name in ("order", "checkout", "fulfillment")}
    finally:
        shop.close()
    return [Figure.below(f"restore {name}", round(peak), "MB", LIMIT_MB) for name, peak in peaks.items()]


def main() -> None:
    quick = os.environ.get("QUICK", "0") not in {"", "0"}
    tune_interpreter()
    with stage(quick) as servers:
        record(measure(servers))


if __name__ == "__main__":
    main()
