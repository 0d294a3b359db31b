"""`make bench-growth`: what 20 million stored messages do to the rate of storing, and to the KPIs.

The messages get times of their own, a thousand per second: they spread over the past hours, and the last ten minutes
hold 600,000. All of them come through Kafka and the service. It takes a quarter of an hour and 20 GB below TMPDIR.
"""

import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import confluent_kafka as ck
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from sqlalchemy import Engine

from local import process
from shop.contract.lifecycle import TOPICS
from shop.edges.process import tune_interpreter
from tools.bench.drain import STORED, drained
from tools.bench.results import Figure, record, require_usable
from tools.bench.stage import PARTITIONS, Stage, connections, medians, stage, wait_until
from tools.bench.traffic import DEFAULTS, Message, Traffic, ends_of, write, writer
from tools.bench.traffic import record as record_traffic
from tools.kit.shop import Shop

MESSAGES, QUICK_MESSAGES = 20_000_000, 2_000_000
CHUNK = 1_000_000
RATE = 1000.0
WINDOW_SECONDS = 600
TIMES_ASKED = 3
GROWTH_AT_LEAST, KPI_AT_MOST = 0.90, 1000.0


class Filling:
    """A shop whose topics are filled chunk by chunk, and forget what is stored."""

    def __init__(self, stage: Stage, traffic: Traffic, messages: int) -> None:
        self.shop = Shop(stage.kafka, stage.mariadb, stage.folder, partitions=PARTITIONS)
        self.shop.environment |= DEFAULTS
        self.written = 0
        self._random = Random(1)
        self._traffic = traffic
        self._producer = writer(stage.kafka.bootstrap)
        self._messages = self._from(time.time() - WINDOW_SECONDS - messages / RATE)
        self._keep_times()

    def write(self, total: int) -> None:
        """Publishes so many more messages of the past."""
        self._write(self._messages, total)

    def write_window(self) -> None:
        """Publishes what the last ten minutes hold."""
        self._messages = self._from(time.time() - WINDOW_SECONDS)
        self._write(self._messages, int(WINDOW_SECONDS * RATE))

    def measure(self) -> float:
        """Messages per second that analytics stores of a backlog."""
        before = self.written
        self.write(CHUNK // 2)
        rate = drained(self.shop, before, self.written - before)
        print(f"  {self.written:,} stored, {rate:,.0f} messages/s", flush=True)
        return rate

    def forget_stored(self) -> None:
        """Makes room on the disk: what is stored need not stay in Kafka."""
        ends = [ck.TopicPartition(*topic_partition, end) for topic_partition, end in ends_of(self.shop).items()]
        for future in self.shop.world.admin.delete_records(ends).values():
            future.result(30)

    @contextmanager
    def trickle(self) -> Iterator[None]:
        """Publishes as many messages as the rate says, while the caller works."""
        stop = threading.Event()

        def publish() -> None:
            messages, began = self._from(time.time()), time.monotonic()
            done = 0
            while not stop.wait(0.1):
                due = int((time.monotonic() - began) * RATE)
                self._write(messages, due - done)
                done = due

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _from(self, unix: float) -> Iterator[Message]:
        return self._traffic.replay(self._random, int(unix * 1000), RATE)

    def _write(self, messages: Iterator[Message], total: int) -> None:
        write(self._producer, self.shop.world.namespace, messages, total)
        self.written += total

    def _keep_times(self) -> None:
        """The topics of the product keep the broker's time, these keep the producer's."""
        entry = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
        resources = [
            ConfigResource(ResourceType.TOPIC, self.shop.world.namespace + topic, incremental_configs=[entry])
            for topic in TOPICS
        ]
        for future in self.shop.world.admin.incremental_alter_configs(resources).values():
            future.result(10)


def measure(servers: Stage) -> list[Figure]:
    """Both figures."""
    messages = QUICK_MESSAGES if servers.quick else MESSAGES
    filling = Filling(servers, record_traffic(servers), messages)
    try:
        first = [filling.measure() for _ in range(3)]
        _fill(filling, messages - CHUNK)
        last = [filling.measure() for _ in range(3)]
        (value,), (reference,) = medians([(one,) for one in last]), medians([(one,) for one in first])
        slowest = _ask(filling)
    finally:
        filling.shop.close()
    return [
        Figure("growth", round(value), "messages/s", round(reference), round(value / reference, 2), GROWTH_AT_LEAST),
        Figure.below("KPI", round(slowest, 1), "ms", KPI_AT_MOST),
    ]


def _fill(filling: Filling, up_to: int) -> None:
    filling.shop.start("analytics")
    engine = connections(filling.shop)
    while filling.written < up_to:
        filling.write(min(CHUNK, up_to - filling.written))
        _wait_for(filling, engine)
        filling.forget_stored()
        print(f"  {filling.written:,} stored", flush=True)
    filling.shop.services["analytics", "0"].stop()
    engine.dispose()


def _wait_for(filling: Filling, engine: Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        wait_until(
            lambda: int(connection.execute(STORED).scalar_one()) == filling.written, "the messages to be stored", 600
        )


def _ask(filling: Filling) -> float:
    """Milliseconds of the slowest view, in the middle of a few times, while messages come in."""
    filling.write_window()
    filling.shop.start("analytics")
    engine = connections(filling.shop).execution_options(isolation_level="AUTOCOMMIT")
    _wait_for(filling, engine)
    with filling.trickle(), engine.connect() as connection:
        views = sorted(name for (name,) in connection.exec_driver_sql("SHOW TABLES LIKE 'kpi\\_%%'"))
        took: dict[str, list[float]] = {view: [] for view in views}
        for _ in range(TIMES_ASKED):
            for view in views:
                began = time.perf_counter()
                connection.exec_driver_sql(f"SELECT * FROM {view}").all()
                took[view].append((time.perf_counter() - began) * 1000)
    engine.dispose()
    middle = {view: statistics.median(times) for view, times in took.items()}
    for view, milliseconds in sorted(middle.items(), key=lambda one: -one[1]):
        print(f"  {view}: {milliseconds:,.0f} ms", flush=True)
    return max(middle.values())


def main() -> None:
    quick = os.environ.get("QUICK", "0") not in {"", "0"}
    require_usable()
    tune_interpreter()
    with stage(quick) as servers:
        record(measure(servers))


if __name__ == "__main__":
    sys.exit(process.run(main))
