"""The highest rate that the whole system holds on this machine: four services, broker and database."""

import statistics
import time
from collections.abc import Sequence

import confluent_kafka as ck

from tools.bench.results import Figure
from tools.bench.stage import PARTITIONS, Stage, wait_until
from tools.bench.traffic import DEFAULTS, ends_of, published
from tools.kit.shop import SERVICES, Shop

SPEED = 100
RATES, QUICK_RATES = (4000, 6000, 8000, 11_000, 16_000, 22_000), (8000,)
"""Checkouts per second that are tried, until a lag grows. The shop's own rate wanders around what it is told, and
above a rate of its own the checkout service opens as many as it can."""
STEP_BACK = 0.9
LOOK_SECONDS, HOLD_SECONDS = 12.0, 60.0
QUICK_LOOK_SECONDS, QUICK_HOLD_SECONDS = 5.0, 10.0
SETTLE_SECONDS = 5.0
AT_LEAST = 8_000.0


def measure(stage: Stage) -> Sequence[Figure]:
    """Messages per second over all topics at the highest rate at which no group's lag grows."""
    look, hold = (QUICK_LOOK_SECONDS, QUICK_HOLD_SECONDS) if stage.quick else (LOOK_SECONDS, HOLD_SECONDS)
    shop = Shop(stage.kafka, stage.mariadb, stage.folder, speed=SPEED, partitions=PARTITIONS)
    shop.environment |= DEFAULTS
    try:
        for service in SERVICES:
            shop.start(service, CHECKOUT_RATE="0")
        shop.services["checkout", "0"].until_logged("caught up")
        held: dict[float, float] = {}
        for tried in QUICK_RATES if stage.quick else RATES:
            held[tried] = _held(shop, tried, look)
            if held[tried] == 0.0:
                break
        rate = max(held, key=held.__getitem__)
        while (messages := _held(shop, rate, hold)) == 0.0:
            rate *= STEP_BACK
    finally:
        shop.close()
    return [Figure("whole system", round(messages), "messages/s", AT_LEAST, round(messages / AT_LEAST, 2), 1.0)]


def _held(shop: Shop, rate: float, seconds: float) -> float:
    """Messages per second at this rate; 0 where a lag grew."""
    shop.services["checkout", "0"].stop()
    shop.start("checkout", CHECKOUT_RATE=str(rate))
    started = published(shop)
    wait_until(lambda: published(shop) > started + rate * SETTLE_SECONDS, "the services to be at work", 60)
    began, before, lags = time.monotonic(), published(shop), []
    while time.monotonic() - began < seconds:
        lags.append(_lags(shop))
        time.sleep(0.5)
    messages = (published(shop) - before) / (time.monotonic() - began)
    third = len(lags) // 3
    grown = {
        group: statistics.median(one[group] for one in lags[-third:])
        - statistics.median(one[group] for one in lags[:third])
        for group in SERVICES
    }
    print(f"  {rate:,.0f} checkouts/s: {messages:,.0f} messages/s, lag grows by {grown}", flush=True)
    # A lag that grows all the time grows by far more than the messages of a second.
    held = max(grown.values()) < messages
    if not held:
        shop.services["checkout", "0"].stop()
        shop.start("checkout", CHECKOUT_RATE="0")
        wait_until(lambda: max(_lags(shop).values()) < messages, "the lag to be worked off", 120)
    return messages if held else 0.0


def _lags(shop: Shop) -> dict[str, int]:
    """Per group: offsets that it has not done with, over its inputs. Its output topic is left out: a service holds
    the offsets there back for as long as it must know duplicates."""
    ends, lags = ends_of(shop), {}
    for group in SERVICES:
        asked = [ck.ConsumerGroupTopicPartitions(shop.world.namespace + group)]
        (answer,) = shop.world.admin.list_consumer_group_offsets(asked).values()
        stored = answer.result(10).topic_partitions
        own = shop.world.namespace + group
        lags[group] = sum(ends[one.topic, one.partition] - max(0, one.offset) for one in stored if one.topic != own)
    return lags
