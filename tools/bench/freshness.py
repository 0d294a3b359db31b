"""How soon a message can be queried, while all four services work."""

import statistics
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from shop.contract.lifecycle import TOPICS
from tools.bench.results import Figure
from tools.bench.stage import PARTITIONS, Stage, connections, wait_until
from tools.bench.traffic import DEFAULTS, MESSAGES_PER_CHECKOUT, published
from tools.kit.shop import SERVICES, Shop

MESSAGES_PER_SECOND = 1000
SPEED = 10
"""Orders then end within two seconds: the mix is a steady one when the measurement begins."""
WARM_UP_SECONDS = 8.0
SECONDS, QUICK_SECONDS = 40.0, 8.0
LOOK_SECONDS = 0.005
MOST_P50, MOST_P99 = 100.0, 400.0


def measure(stage: Stage) -> Sequence[Figure]:
    """Milliseconds from the broker's time stamp until another connection sees the row (the middle, and the slowest
    hundredth); the transaction that published it is part of that."""
    rate = MESSAGES_PER_SECOND / MESSAGES_PER_CHECKOUT
    shop = Shop(stage.kafka, stage.mariadb, stage.folder, speed=SPEED, rate=rate, partitions=PARTITIONS)
    shop.environment |= DEFAULTS
    try:
        for service in reversed(SERVICES):
            shop.start(service)
        shop.services["checkout", "0"].until_logged("caught up")
        wait_until(lambda: published(shop) > WARM_UP_SECONDS * MESSAGES_PER_SECOND, "the services to be at work", 60)
        found = _watch(shop, QUICK_SECONDS if stage.quick else SECONDS)
    finally:
        shop.close()
    percentiles = statistics.quantiles(found, n=100)
    print(f"  {len(found)} messages: p50 {percentiles[49]:.0f} ms, p99 {percentiles[98]:.0f} ms", flush=True)
    return [
        Figure.below("freshness p50", round(percentiles[49], 1), "ms", MOST_P50),
        Figure.below("freshness p99", round(percentiles[98], 1), "ms", MOST_P99),
    ]


def _watch(shop: Shop, seconds: float) -> list[float]:
    """The age in milliseconds at which each new row was first seen."""
    engine = connections(shop).execution_options(isolation_level="AUTOCOMMIT")
    found: list[float] = []
    with engine.connect() as connection:
        logs = {row.topic: row.log_id for row in connection.exec_driver_sql("SELECT topic, log_id FROM kafka_log")}
        seen = {(topic, number): -1 for topic in TOPICS for number in range(PARTITIONS)}
        _look(connection, logs, seen)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            times = _look(connection, logs, seen)
            now = time.time() * 1000
            found += [now - appended for appended in times]
            time.sleep(LOOK_SECONDS)
    engine.dispose()
    return found


def _look(connection: Connection, logs: dict[str, int], seen: dict[tuple[str, int], int]) -> list[float]:
    """The broker's time of each row that was not there at the last look, in milliseconds since 1970."""
    query = " UNION ALL ".join(
        f"SELECT '{topic}', {number}, kafka_offset, UNIX_TIMESTAMP(kafka_timestamp) * 1000 FROM `{topic}` "
        f"WHERE log_id = {logs[topic]} AND kafka_partition = {number} AND kafka_offset > {last}"
        for (topic, number), last in seen.items()
    )
    rows = connection.exec_driver_sql(query).all()
    for topic, number, offset, _ in rows:
        seen[topic, number] = max(seen[topic, number], offset)
    return [float(appended) for *_, appended in rows]
