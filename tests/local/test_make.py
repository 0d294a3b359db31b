"""`make run` and `make up` in a checkout of their own with services that only wait."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.checkout import SERVICES, Checkout, NewCheckout, Running, refusal
from tests.local.waiting import wait_until

ENDS_WITHIN = 10.0


@pytest.fixture(scope="module")
def checkout(new_checkout: NewCheckout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = new_checkout(tmp_path_factory.mktemp("make") / "checkout")
    yield checkout
    checkout.end_all()


@pytest.fixture
def shop(checkout: Checkout) -> Running:
    """`make run` with everything started: the one of the test before, unless that has ended it."""
    running = checkout.running or checkout.start("run")
    running.wait_for("all started")
    for service in SERVICES:
        running.wait_for(f"{service:<11} | runs on")
    return running


@pytest.fixture
def _servers_up(checkout: Checkout) -> Iterator[None]:
    checkout.end_all()
    made = checkout.make("up")
    assert made.returncode == 0, made.stderr
    yield
    checkout.make("down")


def test_all_services_are_told_where_the_servers_are(checkout: Checkout, shop: Running) -> None:
    for service in SERVICES:
        assert f"{service:<11} | runs on [::1]:{checkout.kafka_port + 2} ::1 {checkout.mariadb_port}" in shop.log


def test_a_second_run_in_the_same_checkout_is_refused(checkout: Checkout, shop: Running) -> None:
    for target in ("run", "up", "down", "clean"):
        assert refusal(checkout.make(target)).startswith("make run is at work in this checkout: end it first")
    assert "ended" not in shop.log


@pytest.mark.parametrize(("name", "part"), [("order", "order"), ("kafka", "kafka.Kafka"), ("mariadb", "mariadbd")])
def test_what_was_killed_is_started_again_alone(checkout: Checkout, shop: Running, name: str, part: str) -> None:
    before = checkout.processes()
    victim = checkout.pid_of(part)
    os.kill(victim, signal.SIGKILL)
    shop.wait_for(f"{name:<11} | ended (signal SIGKILL), starts again in 1 s")
    wait_until(lambda: len(checkout.processes()) == len(before), f"{name} is back")
    assert set(before) - set(checkout.processes()) == {victim}


def test_ctrl_c_ends_everything_and_the_next_run_goes_on(checkout: Checkout, shop: Running) -> None:
    restarts = shop.log.count("ended (")
    cluster = (checkout.home / ".local/data/kafka/data/meta.properties").read_text()
    began = time.monotonic()
    shop.interrupt()
    shop.wait(ENDS_WITHIN)
    assert time.monotonic() - began < ENDS_WITHIN
    assert checkout.processes() == {}
    assert "Traceback" not in shop.log
    assert shop.log.count("leaves") == len(SERVICES)
    assert shop.log.count("ended (") == restarts
    assert shop.log.index("leaves") < shop.log.index("everything has ended")
    again = checkout.start("run")
    again.wait_for("all started")
    assert "topic order is there" in again.log
    assert (checkout.home / ".local/data/kafka/data/meta.properties").read_text() == cluster


def test_a_service_that_does_not_listen_is_killed_in_time(checkout: Checkout, shop: Running) -> None:
    os.kill(checkout.pid_of("analytics"), signal.SIGSTOP)
    shop.interrupt()
    shop.wait(ENDS_WITHIN)
    assert checkout.processes() == {}


def test_ctrl_c_while_it_starts_ends_everything(checkout: Checkout) -> None:
    checkout.end_all()
    running = checkout.start("run")
    running.wait_for("waiting for the broker")
    running.interrupt()
    running.wait(ENDS_WITHIN)
    assert checkout.processes() == {}
    assert "Traceback" not in running.log


def test_a_supervisor_that_was_killed_leaves_nothing_behind(checkout: Checkout, shop: Running) -> None:
    os.kill(shop.supervisor(), signal.SIGKILL)
    shop.wait(ENDS_WITHIN)
    wait_until(lambda: checkout.processes() == {}, "everything has ended", ENDS_WITHIN)


@pytest.mark.usefixtures("_servers_up")
def test_up_leaves_the_two_servers_running_and_down_ends_them(checkout: Checkout) -> None:
    assert len(checkout.processes()) == 2
    assert "up already" in refusal(checkout.make("up"))
    client: list[str | Path] = [checkout.home / "local" / "mysql", "-e", "SHOW TABLES; DESC checkout;"]
    shown = subprocess.check_output(client, env=checkout.environment, text=True)
    assert "cart_item" in shown
    assert "kafka_offset" in shown
    assert checkout.make("down").returncode == 0
    assert checkout.processes() == {}
    assert "nothing is up" in checkout.make("down").stdout


@pytest.mark.usefixtures("_servers_up")
def test_run_uses_the_servers_that_are_up_and_leaves_them_running(checkout: Checkout) -> None:
    up = checkout.processes()
    running = checkout.start("run")
    running.wait_for("runs on", times=len(SERVICES))
    running.interrupt()
    running.wait(ENDS_WITHIN)
    assert checkout.processes() == up


def test_a_process_that_only_has_the_pid_of_one_that_was_up_is_left_alone(checkout: Checkout) -> None:
    stranger = {"name": "kafka", "pid": os.getpid(), "born": 1, "port": 9092}
    (checkout.home / ".local" / "up.json").write_text(json.dumps([stranger]))
    assert "nothing is up" in checkout.make("down").stdout
