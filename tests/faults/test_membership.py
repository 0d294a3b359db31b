"""Instances that come and go, partitions that are added, topics recreated: all while orders are in flight."""

import pytest

from shop.contract.lifecycle import TOPICS
from tests.faults.test_zombie import members
from tools.kit.shop import SERVICES, Shop, wait_until
from tools.kit.world import PARTITIONS


def test_instances_that_join_and_leave_lose_and_double_nothing(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    for service in SERVICES:
        shop.start(service, "1")
    for service in SERVICES:
        both = {f"{service}-0", f"{service}-1"}
        wait_until(lambda both=both, service=service: members(shop, service) == both, f"{both}")  # type: ignore[misc]
    shop.until_completed(5)
    for service in SERVICES:
        assert shop.services[service, "1"].stop() == 0
    for service in SERVICES:
        one = {f"{service}-0"}
        wait_until(lambda one=one, service=service: members(shop, service) == one, f"{one} alone")  # type: ignore[misc]
    shop.until_completed(5)
    shop.must_be_clean()


def test_partitions_added_while_running_are_used_and_nothing_is_lost_or_doubled(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    for topic in TOPICS:
        shop.world.add_partitions(topic, PARTITIONS + 2)

    def added_are_used() -> bool:
        return {record.partition for record in shop.world.records("fulfillment")} >= {PARTITIONS, PARTITIONS + 1}

    wait_until(added_are_used, "fulfillments in the added partitions")
    shop.until_completed(5)
    shop.must_be_clean()


@pytest.mark.claim(
    "topics that are recreated while all services run are read from their start",
    section="offsets",
    tried="found a masked client error",
)
def test_recreated_topics_while_running_are_read_from_their_start(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    shop.recreate_topics()
    shop.until_completed(5)
    shop.must_be_clean(whole=False)
