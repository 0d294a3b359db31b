"""The broker or the database goes away under load and comes back: everybody waits, and goes on where they were."""

from collections.abc import Iterator

import pytest

from local.kafka import Kafka
from local.mariadb import MariaDB
from tools.kit.shop import SERVICES, Shop


@pytest.fixture(autouse=True)
def both_servers_run_again(shop: Shop, kafka: Kafka, mariadb: MariaDB) -> Iterator[None]:  # noqa: ARG001
    """Whatever becomes of the test: the servers are the whole session's. Takes the shop so as to end before it."""
    yield
    for server in (kafka, mariadb):
        if not server.answers():
            server.start()
            server.wait_ready()


def all_alive(shop: Shop) -> bool:
    return all(service.process.poll() is None for service in shop.services.values())


@pytest.mark.claim(
    "a broker restart, clean or by kill -9, ends no service and loses or doubles nothing",
    section="failures",
    tried="found a client call without a time limit",
)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_no_service_ends_for_a_broker_restart_and_nothing_is_lost_or_doubled(
    shop: Shop, kafka: Kafka, how: str
) -> None:
    shop.start_all()
    shop.until_completed(5)
    getattr(kafka, how)()
    for service in SERVICES:
        shop.services[service, "0"].until_prints(kafka.bootstrap)
    kafka.start()
    kafka.wait_ready()
    shop.until_completed(5)
    assert all_alive(shop)
    shop.must_be_clean()


@pytest.mark.claim(
    "a database restart ends no service and loses or doubles nothing", section="failures", tried="not broken"
)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_no_service_ends_for_a_database_restart_and_nothing_is_lost_or_doubled(shop: Shop, how: str) -> None:
    shop.start_all()
    shop.until_completed(5)
    getattr(shop.mariadb, how)()
    for service in ("fulfillment", "analytics"):
        shop.services[service, "0"].until_logged("waiting")
    shop.mariadb.start()
    shop.mariadb.wait_ready()
    shop.until_completed(5)
    assert all_alive(shop)
    shop.must_be_clean()


@pytest.mark.claim(
    "recreated topics are read from their start, also after a broker restart",
    section="offsets",
    tried="found by `make chaos`",
)
def test_recreated_topics_are_read_from_their_start_also_when_the_broker_has_been_restarted(
    shop: Shop, kafka: Kafka
) -> None:
    """The epochs of their leaders are lower than those that the clients know."""
    shop.start_all()
    shop.until_completed(3)
    kafka.kill()
    kafka.start()
    kafka.wait_ready()
    shop.until_completed(3)
    shop.recreate_topics()
    shop.until_completed(5)
    shop.must_be_clean(whole=False)


def test_services_started_before_their_servers_wait_and_name_the_address(shop: Shop, kafka: Kafka) -> None:
    kafka.stop()
    shop.mariadb.stop()
    shop.start_all()
    for service in SERVICES:
        shop.services[service, "0"].until_logged("waiting")
        waiting = [line for line in shop.services[service, "0"].lines() if "waiting" in str(line["event"])]
        address = shop.mariadb.port if service in {"analytics", "fulfillment"} else kafka.port
        assert str(address) in str(waiting[0])
    kafka.start()
    shop.mariadb.start()
    kafka.wait_ready()
    shop.mariadb.wait_ready()
    shop.until_completed(3)
    shop.must_be_clean()
