"""A process that is stopped past its session, replaced, and wakes: it must write nothing, and break nothing."""

import signal
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tools.kit.shop import Service, Shop, wait_until

REPLY_SECONDS = 5.0
STOP_IN_COMMIT = ["--point", "after offsets before commit", "--signal", "STOP", "--after", "3"]


def members(shop: Shop, group: str) -> set[str]:
    """The slots that hold partitions of a group now. Raises KafkaException when the coordinator does not say.

    Asks through a client of its own: one that knows a coordinator goes on asking it after its broker is lost.
    """
    name = shop.world.namespace + group
    admin = AdminClient({"bootstrap.servers": shop.world.bootstrap})
    description = admin.describe_consumer_groups([name], request_timeout=REPLY_SECONDS)[name].result()
    return {
        member.group_instance_id.removeprefix(shop.world.namespace)
        for member in description.members
        if member.group_instance_id and member.assignment and member.assignment.topic_partitions
    }


def until_stopped(victim: Service) -> None:
    victim.until_prints("FAULT at")
    wait_until(lambda: "T" in state_of(victim.process.pid), "the process to be stopped")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.claim("a zombie that wakes after a takeover writes nothing", section="transactions", tried="not broken")
def test_a_zombie_that_wakes_after_its_successor_took_over_writes_nothing(shop: Shop) -> None:
    for service in ("analytics", "checkout", "fulfillment"):
        shop.start(service)
    zombie = shop.start("order", "0", fault=[*STOP_IN_COMMIT, "--session-seconds", "6"])
    until_stopped(zombie)
    shop.start("order", "1").until_logged("caught up")
    shop.until_completed(5)
    zombie.send(signal.SIGCONT)
    wait_until(lambda: members(shop, "order") == {"order-0", "order-1"}, "the zombie to join again, as one of two")
    shop.until_completed(5)
    # In which of two ways it notices depends on whether it hears first of its transaction or of the rebalance.
    assert zombie.has_logged("restoring from the log") or zombie.has_logged("transaction failed")
    shop.must_be_clean()


@pytest.mark.claim(
    "what a predecessor commits while its successor restores is not repeated",
    section="transactions",
    tried="not broken",
)
def test_a_predecessor_that_commits_while_its_successor_restores_is_not_repeated(shop: Shop) -> None:
    for service in ("analytics", "checkout", "fulfillment"):
        shop.start(service)
    predecessor = shop.start("order", "0", fault=[*STOP_IN_COMMIT, "--session-seconds", "3"])
    until_stopped(predecessor)
    successor = shop.start("order", "1")
    wait_until(lambda: members(shop, "order") == {"order-1"}, "the successor to hold all partitions")
    assert not successor.has_logged("caught up"), "the successor must still wait for the open transaction"
    predecessor.send(signal.SIGCONT)
    successor.until_logged("caught up")
    shop.until_completed(5)
    shop.must_be_clean()


@pytest.mark.claim("a zombie does not take fulfillment's table back", section="transactions", tried="not broken")
def test_a_zombie_of_fulfillment_does_not_take_its_table_back(shop: Shop) -> None:
    for service in ("analytics", "checkout", "order"):
        shop.start(service)
    zombie = shop.start("fulfillment", "0", fault=[*STOP_IN_COMMIT, "--session-seconds", "6"])
    until_stopped(zombie)
    shop.start("fulfillment", "1").until_logged("caught up")
    shop.until_completed(5)
    zombie.send(signal.SIGCONT)
    wait_until(lambda: len(members(shop, "fulfillment")) == 2, "the zombie to join again, as one of two")
    shop.must_be_clean()
