"""docker-compose.yml as it is: what a person does with the stack, in the order of a first afternoon with it."""

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pymysql
import pytest
from confluent_kafka.admin import AdminClient

from local.paths import ROOT
from shop.contract.lifecycle import TOPICS
from tests.compose.stack import (
    FRONTS,
    KAFKA,
    MARIADB,
    PASSWORDS,
    PREFIX,
    PROJECT,
    SERVICES,
    BringUp,
    Stack,
    docker,
)
from tests.local.waiting import wait_until
from tools.kit.shop import Service

pytestmark = pytest.mark.timeout(900)

Record = Callable[[str, object], None]

STACK_MB = 2000
OWN_LAYERS_MB = 100
"""What an image of ours adds to python:3.11-slim, at most, so that the whole stays below 250 MB."""
MB_IN = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


@pytest.fixture(scope="module")
def stack(brought_up: BringUp) -> Iterator[Stack]:
    yield from brought_up("docker-compose.yml")


def test_up_leads_to_a_completed_order(stack: Stack, record_property: Record) -> None:
    began = time.monotonic()
    stack.compose("up", "-d")
    wait_until(stack.completed, "a COMPLETED order", 300)
    record_property("seconds from docker-compose up -d to the first COMPLETED order", round(time.monotonic() - began))
    stack.wait_healthy("kafka", "mariadb", *SERVICES)
    stack.must_be_clean()


def test_every_image_and_container_is_small(stack: Stack, record_property: Record) -> None:
    base = int(docker("image", "inspect", "--format", "{{.Size}}", "python:3.11-slim"))
    for service in SERVICES:
        own = (int(docker("image", "inspect", "--format", "{{.Size}}", f"shop-{service}")) - base) / 1e6
        record_property(f"MB that the image of {service} adds to python:3.11-slim", round(own))
        assert own <= OWN_LAYERS_MB
    running = [one for one in stack.containers() if one.runs]
    assert all(one.limit_mb for one in running)
    assert sum(one.limit_mb for one in running) <= STACK_MB
    lines = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *(one.name for one in running)).splitlines()
    used = sum(float(line.split()[0][:-3]) * MB_IN[line.split()[0][-3:]] for line in lines)
    record_property("MiB of memory that the whole stack uses", round(used))


def test_nothing_runs_as_root_and_only_kafka_may_write_to_its_own_image(stack: Stack) -> None:
    for one in stack.containers():
        assert one.user not in {"", "root", "0"}, one.name
    writable = {one.name for one in stack.containers() if not one.is_read_only}
    assert writable == {one.name for one in stack.containers("kafka")}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_at_its_address(stack: Stack, service: str) -> None:
    address, port = FRONTS[service]
    (front,) = stack.containers(f"{service}-front")
    assert front.address == address
    with urllib.request.urlopen(f"http://[{PREFIX}{address}]:{port}/health", timeout=10) as answer:
        assert all(json.load(answer).values())


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "localhost"])
def test_clients_outside_reach_kafka_and_mariadb_at_the_published_ports(stack: Stack, host: str) -> None:
    written = f"[{host}]" if ":" in host else host
    outside = AdminClient({"bootstrap.servers": f"{written}:{stack.kafka_port}", "socket.timeout.ms": 10_000})
    brokers = outside.list_topics(timeout=20).brokers.values()
    # A client goes on to the address that the broker gives it.
    assert [f"{one.host}:{one.port}" for one in brokers] == [f"localhost:{stack.kafka_port}"]
    assert outside.list_consumer_groups(request_timeout=20).result().valid
    with pymysql.connect(host=host, port=stack.mariadb_port, user="user", password="userpw") as connection:
        connection.ping()


def test_a_reader_sees_the_columns_of_every_table_and_view(stack: Stack) -> None:
    with stack.reader() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for (table,) in cursor.fetchall():
            assert cursor.execute(f"DESC `{table}`") > 0
        cursor.execute(
            "SELECT table_name, COUNT(*) FROM information_schema.columns WHERE table_schema = 'analytics' GROUP BY 1"
        )
        told = dict(cursor.fetchall())
    assert len(told) > 30


def test_times_are_converted_as_on_this_machine(stack: Stack) -> None:
    zones = {"Europe/Berlin": (1_743_296_399, 1_743_296_400, 1_761_440_400), "America/New_York": (1_710_054_000,)}
    with stack.reader() as connection, connection.cursor() as cursor:
        for zone, moments in zones.items():
            for at in moments:
                moment = datetime.fromtimestamp(at, UTC)
                cursor.execute("SELECT CONVERT_TZ(%s, '+00:00', %s)", (f"{moment:%Y-%m-%d %H:%M:%S}", zone))
                (told,) = cursor.fetchone() or ("",)
                assert str(told) == f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def test_a_reader_who_goes_to_lunch_with_locks_is_named_and_ended(stack: Stack, record_property: Record) -> None:
    with stack.reader() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        cursor.execute("BEGIN")
        cursor.execute("SELECT COUNT(*) FROM checkout")
        cursor.execute("SELECT CONNECTION_ID()")
        (session,) = cursor.fetchone() or (0,)
        began = time.monotonic()
        wait_until(
            lambda: f'"waits_for": "session {session} (user from ' in stack.health("analytics"), "the word", 30
        )
        wait_until(lambda: "waits_for" not in stack.health("analytics"), "the end of the wait", 60)
        record_property("seconds that storing waited for a reader", round(time.monotonic() - began, 1))
        assert "ended the session that storing waited for" in stack.compose("logs", "--no-color", "analytics")
        with pytest.raises(pymysql.MySQLError):
            cursor.execute("SELECT 1")
    stack.wait_for_more_completed()


def test_root_does_not_come_from_the_network(stack: Stack) -> None:
    with pytest.raises(pymysql.OperationalError, match="1045"):
        pymysql.connect(host=MARIADB, user="root", password="rootpw")
    stack.compose("exec", "-T", "mariadb", "mariadb", "--user=root", "--password=rootpw", "--execute=SELECT 1")


def test_a_service_can_run_on_this_machine_instead(stack: Stack, tmp_path: Path) -> None:
    stack.compose("stop", "order")
    environment = stack.for_this_machine() | {
        "KAFKA_PASSWORD": PASSWORDS["ORDER_PASSWORD"],
        "LOG_FORMAT": "json",
        "HTTP_PORT": "0",
    }
    by_hand = Service([sys.executable, "main.py"], ROOT / "order", environment, tmp_path / "order.log")
    try:
        by_hand.until_logged("committed")
        stack.wait_for_more_completed()
    finally:
        by_hand.stop()
        stack.compose("start", "order")
    stack.wait_healthy("order")


def test_three_containers_of_a_service_share_its_work_each_in_a_slot_of_its_own_name(stack: Stack) -> None:
    stack.compose("up", "-d", "--scale", "order=3")
    stack.wait_healthy("order", count=3)
    slots = {f"order-{one.slot}" for one in stack.containers("order")}
    admin = AdminClient({"bootstrap.servers": f"[{KAFKA}]:9092"})

    def members() -> dict[str, int]:
        """Each member of the group with the number of its partitions of topic order."""
        group = admin.describe_consumer_groups(["order"], request_timeout=20)["order"].result()
        return {
            str(one.group_instance_id): sum(at.topic == "order" for at in one.assignment.topic_partitions)
            for one in group.members
        }

    wait_until(lambda: members() == dict.fromkeys(slots, 2), f"the slots {slots} with two partitions each")
    stack.wait_for_more_completed()
    stack.compose("up", "-d", "--scale", "order=1")


@pytest.mark.parametrize("service", ["kafka", "mariadb", *SERVICES])
def test_a_restart_of_one_container_is_survived(stack: Stack, service: str, record_property: Record) -> None:
    began = time.monotonic()
    stack.compose("restart", service)
    stack.wait_for_more_completed()
    record_property(
        f"seconds from docker-compose restart {service} to the next COMPLETED order", round(time.monotonic() - began)
    )
    stack.wait_healthy("kafka", "mariadb", *SERVICES)


def test_after_all_restarts_nothing_is_lost_or_doubled(stack: Stack) -> None:
    stack.must_be_clean()


def test_stop_and_start_go_on_where_it_was(stack: Stack) -> None:
    before = stack.completed()
    stack.compose("stop")
    assert not any(one.runs for one in stack.containers())
    stack.compose("start")
    wait_until(lambda: stack.completed() > before, "another COMPLETED order", 180)
    # What was due while nothing ran counts as stuck until its turn comes.
    stack.must_be_clean("--stuck-after", "600")


def test_without_new_checkouts_everything_comes_to_its_end(stack: Stack) -> None:
    stack.compose("up", "-d", "checkout", CHECKOUT_RATE="0")
    wait_until(lambda: stack.audit("--settled").returncode == 0, "a settled shop", 180)
    stack.compose("up", "-d", "checkout")
    stack.wait_for_more_completed()


def test_the_loss_of_kafkas_volume_is_survived(stack: Stack) -> None:
    stack.compose("stop")
    stack.compose("rm", "--force", "-v", "kafka")
    docker("volume", "rm", f"{PROJECT}_kafka-data")
    stack.compose("up", "-d")
    wait_until(lambda: stack.count("SELECT COUNT(*) FROM kafka_log") == 2 * len(TOPICS), "the new topics", 300)
    stack.wait_for_more_completed()
    stack.must_be_clean()


def test_kafka_can_be_had_alone(stack: Stack) -> None:
    stack.down()
    stack.compose("up", "-d", "kafka", "init-kafka")
    stack.wait_healthy("kafka")
    assert {one.name.split("_")[1] for one in stack.containers()} == {"kafka", "init-kafka"}


def test_down_with_volumes_leaves_nothing(stack: Stack) -> None:
    stack.down()
    assert stack.containers() == []
    label = f"label=com.docker.compose.project={PROJECT}"
    assert docker("volume", "ls", "--quiet", "--filter", label) == ""
    assert docker("network", "ls", "--quiet", "--filter", label) == ""
