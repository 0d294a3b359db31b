"""kill -9 at each point of a transaction, and what the next start makes of it."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.faulty_service import POINTS
from tools.kit.shop import SERVICES, Shop, wait_until

PUBLISHERS = ("checkout", "order", "fulfillment")


@pytest.mark.claim(
    "kill -9 after produce, after send_offsets, after commit, in the middle of a restore: each service goes on "
    "exactly once",
    section="failures",
    tried="not broken",
)
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_each_publishing_service_goes_on_exactly_once(shop: Shop, point: str) -> None:
    shop.start("analytics")
    for service in PUBLISHERS:
        shop.start(service)
    shop.until_completed(3)
    for service in PUBLISHERS:
        shop.services[service, "0"].stop()
        victim = shop.start(service, fault=["--point", point, "--after", "2"])
        assert victim.until_dead() == -signal.SIGKILL
        victim.until_prints(f"FAULT at {point}")
        shop.start(service)
    shop.until_completed(5)
    shop.must_be_clean()


@pytest.mark.claim("a killed service publishes again within 5 s", section="failures", tried="measured")
def test_a_killed_service_publishes_again_within_five_seconds(
    shop: Shop, record_property: Callable[[str, object], None]
) -> None:
    shop.start_all()
    shop.until_completed(5)
    for service in PUBLISHERS:
        before = shop.services[service, "0"]
        before.send(signal.SIGKILL)
        before.until_dead()
        began = time.monotonic()
        after = shop.start(service)
        wait_until(lambda after=after: after.has_logged("committed"), f"{service} to publish again")  # type: ignore[misc]
        seconds = time.monotonic() - began
        record_property(f"{service} publishes again after kill -9", f"{seconds:.1f} s")
        assert seconds < 5.0
    shop.must_be_clean()


def test_all_services_killed_at_once_go_on_exactly_once(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(5)
    for service in SERVICES:
        shop.services[service, "0"].send(signal.SIGKILL)
    for service in SERVICES:
        shop.services[service, "0"].until_dead()
    shop.start_all()
    shop.until_completed(5)
    shop.must_be_clean()


@pytest.mark.claim("SIGTERM ends a service within 5 s with exit code 0", section="failures", tried="not broken")
def test_sigterm_ends_each_service_with_exit_code_0_within_five_seconds(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    for service in SERVICES:
        began = time.monotonic()
        assert shop.services[service, "0"].stop() == 0
        assert time.monotonic() - began < 5.0
