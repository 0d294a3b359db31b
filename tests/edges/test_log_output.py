"""A service whose log nobody takes goes on working and says so; one whose reader is gone ends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from local.binaries import ROOT
from local.server import free_port
from tests.edges.test_monitoring import asked, metrics
from tools.kit.shop import Shop, wait_until


class Reader:
    """Checkout with a log that goes into a pipe, which is read only when the test does."""

    def __init__(self, shop: Shop) -> None:
        self.port = free_port()
        read, write = os.pipe()
        self.log = os.fdopen(read, "rb", buffering=0)
        busy = {"LOG_LEVEL": "debug", "CHECKOUT_RATE": "500", "SPEED": "1000", "HTTP_PORT": str(self.port)}
        self.process = subprocess.Popen(
            [sys.executable, "main.py"],
            cwd=ROOT / "checkout",
            env=shop.environment | busy,
            stdout=write,
            stderr=write,
        )
        os.close(write)

    def published(self) -> float:
        return metrics(self.port)["shop_events_published_total", ()]

    def log_output(self) -> bool:
        return bool(json.loads(asked(self.port, "/health")[1])["log_output"])


@pytest.fixture
def reader(shop: Shop) -> Iterator[Reader]:
    reader = Reader(shop)
    yield reader
    reader.process.kill()
    reader.process.wait()
    reader.log.close()


def test_a_log_that_is_not_read_stops_nothing_and_health_says_so_until_it_is_read(reader: Reader) -> None:
    wait_until(lambda: asked(reader.port, "/health")[0] == 200, "a healthy service")
    wait_until(lambda: asked(reader.port, "/health")[0] == 503, "the log to be blocked")
    assert json.loads(asked(reader.port, "/health")[1]) == {
        "assigned": True,
        "caught_up": True,
        "at_work": True,
        "log_output": False,
    }
    before = reader.published()
    wait_until(lambda: reader.published() > before + 200, "events that are published meanwhile")
    wait_until(lambda: bool(reader.log.read(65_536)) and reader.log_output(), "the log to be read")


def test_it_ends_in_time_and_cleanly_although_its_log_is_not_read(reader: Reader) -> None:
    wait_until(lambda: asked(reader.port, "/health")[0] == 503 and not reader.log_output(), "the log to be blocked")
    reader.process.terminate()
    assert reader.process.wait(5) == 0


def test_a_service_whose_reader_is_gone_ends_cleanly(reader: Reader) -> None:
    wait_until(lambda: asked(reader.port, "/health")[0] == 200, "a healthy service")
    reader.log.close()
    assert reader.process.wait(10) == 0
