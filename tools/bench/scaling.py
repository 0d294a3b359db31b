"""`make bench-scaling`: what one service does with 1, 2 and 4 instances, and with how many partitions.

Every instance is a process of its own, as users start it. Each service gets work that waits in its topics (checkout
opens as many as it can), and is timed from the first tenth of it to the last. Beside the rate stands the CPU time
that each side spends on a message: that is what a machine with more cores is reckoned with.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import confluent_kafka as ck
import structlog
from rich import box
from rich.table import Table
from sqlalchemy import text

from local import process
from order_service.rules import next_order
from shop.contract.events import Event, serialize
from shop.contract.lifecycle import OrderStatus
from shop.edges.terminal import console
from tools.bench.results import machine
from tools.bench.stage import PARTITIONS, Stage, connections, stage, wait_until
from tools.bench.traffic import DEFAULTS, Message, ends_of, write, writer
from tools.kit.samples import START, checkout
from tools.kit.shop import Shop

INSTANCES = (1, 2, 4)
PARTITION_COUNTS = (1, 6, 24)
MESSAGES, QUICK_MESSAGES = 120_000, 10_000
FULL_SPEED = "1000000"
LONGEST_SECONDS = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Trial:
    """What was measured of one service with so many instances and partitions."""

    service: str
    instances: int
    partitions: int
    rate: float
    """Messages per second: published by a publisher, stored by analytics."""
    microseconds: Mapping[str, float]
    """CPU time per message, by program."""


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    quick = os.environ.get("QUICK", "0") not in {"", "0"}
    trials = []
    with stage(quick) as servers:
        for measure in (publish, transitions, fulfil, store):
            for instances in INSTANCES:
                trials.append(measure(servers, instances, PARTITIONS))
        for partitions in PARTITION_COUNTS:
            trials.append(transitions(servers, 1, partitions))
    console(width=100).print(table(trials))


def publish(servers: Stage, instances: int, partitions: int) -> Trial:
    """Checkouts that are opened; nobody goes on to the next step."""
    settings = {"CHECKOUT_RATE": FULL_SPEED, "CONVERSION": "1e-9", "SPEED": "0.001"}
    with _shop(servers, partitions) as shop:
        _start(shop, "checkout", instances, settings)
        return _timed(
            servers,
            shop,
            "checkout",
            instances,
            partitions,
            partial(_ends, shop, "checkout", partitions),
            3 * _messages(servers),
        )


def transitions(servers: Stage, instances: int, partitions: int) -> Trial:
    """NEW and MERCHANT_ACCEPTED for each of the checkouts that were submitted."""
    with _shop(servers, partitions) as shop:
        _start(shop, "order", instances, {"SPEED": FULL_SPEED, "DISPUTE_RATE": "0"})
        wanted = _messages(servers)
        _write(shop, "checkout", map(checkout, range(wanted)))
        return _timed(
            servers, shop, "order", instances, partitions, partial(_ends, shop, "order", partitions), 2 * wanted
        )


def fulfil(servers: Stage, instances: int, partitions: int) -> Trial:
    """SHIPPED for each of the accepted orders, and its row."""

    def accepted(number: int) -> Event:
        return next_order(None, checkout(number), OrderStatus.MERCHANT_ACCEPTED, START)

    with _shop(servers, partitions) as shop:
        _start(shop, "fulfillment", instances, {"SPEED": FULL_SPEED})
        wanted = _messages(servers)
        _write(shop, "order", map(accepted, range(wanted)))
        return _timed(
            servers,
            shop,
            "fulfillment",
            instances,
            partitions,
            partial(_ends, shop, "fulfillment", partitions),
            wanted,
        )


def store(servers: Stage, instances: int, partitions: int) -> Trial:
    """Rows of checkouts, with their carts and addresses."""
    with _shop(servers, partitions) as shop:
        engine = connections(shop).execution_options(isolation_level="AUTOCOMMIT")
        highest = " + ".join(
            f"COALESCE((SELECT MAX(kafka_offset) + 1 FROM checkout WHERE log_id = (SELECT log_id FROM kafka_log "
            f"WHERE topic = 'checkout') AND kafka_partition = {number}), 0)"
            for number in range(partitions)
        )
        with engine.connect() as connection:

            def stored() -> int:
                return int(connection.execute(text(f"SELECT {highest}")).scalar_one())

            _start(shop, "analytics", instances, {})
            wanted = _messages(servers) * 2
            _write(shop, "checkout", map(checkout, range(wanted)))
            trial = _timed(servers, shop, "analytics", instances, partitions, stored, wanted)
        engine.dispose()
    return trial


def table(trials: list[Trial]) -> Table:
    """What was measured, one line each."""
    found = Table(title=machine(), box=box.SIMPLE_HEAD)
    for heading in ("service", "instances", "partitions", "messages/s", "its own us", "Kafka's us", "MariaDB's us"):
        found.add_column(heading, justify="left" if heading == "service" else "right")
    for one in trials:
        spent = (f"{one.microseconds[program]:.1f}" for program in ("service", "kafka", "mariadb"))
        found.add_row(one.service, str(one.instances), str(one.partitions), f"{one.rate:,.0f}", *spent)
    return found


def _messages(servers: Stage) -> int:
    return QUICK_MESSAGES if servers.quick else MESSAGES


@contextmanager
def _shop(servers: Stage, partitions: int) -> Iterator[Shop]:
    shop = Shop(servers.kafka, servers.mariadb, servers.folder, partitions=partitions)
    shop.environment |= DEFAULTS
    try:
        yield shop
    finally:
        shop.close()


def _start(shop: Shop, service: str, instances: int, settings: Mapping[str, str]) -> None:
    """Starts so many, and returns when the group has settled on them."""
    shop.environment |= settings
    for number in range(instances):
        shop.start(service, str(number))
    group = shop.world.namespace + service

    def settled() -> bool:
        try:
            described = shop.world.admin.describe_consumer_groups([group])[group].result(10)
        except ck.KafkaException:
            return False  # the broker has yet to load the group
        assigned = [len(member.assignment.topic_partitions) for member in described.members]
        return described.state == ck.ConsumerGroupState.STABLE and len(assigned) == instances and all(assigned)

    wait_until(settled, f"{instances} instances of {service} to share the partitions", LONGEST_SECONDS)


def _write(shop: Shop, topic: str, events: Iterable[Event]) -> None:
    """Publishes them at once, each where its key belongs."""
    messages = [Message(topic, event.key.encode(), serialize(event), 0) for event in events]
    write(writer(shop.world.bootstrap), shop.world.namespace, iter(messages), len(messages))


def _ends(shop: Shop, topic: str, partitions: int) -> int:
    name = shop.world.namespace + topic
    return sum(end for (of, _), end in ends_of(shop, partitions).items() if of == name)


def _timed(
    servers: Stage, shop: Shop, service: str, instances: int, partitions: int, done: Callable[[], int], wanted: int
) -> Trial:
    """From a tenth of what is wanted to nine tenths of it."""
    pids = {
        "service": [one.process.pid for one in shop.services.values()],
        "kafka": [servers.kafka.pid],
        "mariadb": [servers.mariadb.pid],
    }
    wait_until(lambda: done() >= wanted * 0.1, f"the first messages of {service}", LONGEST_SECONDS)
    first, began, before = done(), time.perf_counter(), {name: _cpu_seconds(of) for name, of in pids.items()}
    wait_until(lambda: done() >= wanted * 0.9, f"the last messages of {service}", LONGEST_SECONDS)
    messages, seconds = done() - first, time.perf_counter() - began
    spent = {name: (_cpu_seconds(of) - before[name]) / messages * 1e6 for name, of in pids.items()}
    trial = Trial(service, instances, partitions, messages / seconds, spent)
    print(f"  {service} x {instances}, {partitions} partitions: {trial.rate:,.0f}/s", flush=True)
    return trial


def _cpu_seconds(pids: list[int]) -> float:
    """What these processes have used of all cores so far."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS


if __name__ == "__main__":
    sys.exit(process.run(main))
