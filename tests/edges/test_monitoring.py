"""/health and /metrics say what is true of a running service, and the documentation names all of it."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from local.images import health
from local.server import free_port
from tools.kit.shop import SERVICES, Shop, wait_until

DOCUMENTED = Path(__file__).parents[2] / "docs" / "monitoring.md"


def asked(port: int, path: str) -> tuple[int, str]:
    """Status and body; status 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://[::1]:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as failure:
        return failure.code, failure.read().decode()
    except OSError:
        return 0, ""


def metrics(port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    """Value by name and label values."""
    status, body = asked(port, "/metrics")
    assert status == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def documented() -> Mapping[str, set[str]]:
    """The names of the table, for publishers and analytics."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", DOCUMENTED.read_text(), re.MULTILINE)
    return {of: {name for name, whose in rows if whose in {of, "all"}} for of in ("publishers", "analytics")}


@pytest.fixture
def ports(shop: Shop) -> dict[str, int]:
    """All services, each with a port, and healthy."""
    found = {name: free_port() for name in SERVICES}
    for name, port in found.items():
        shop.start(name, HTTP_PORT=str(port))
    for port in found.values():
        wait_until(lambda port=port: asked(port, "/health")[0] == 200, "a healthy service")  # type: ignore[misc]
    return found


def test_the_health_check_of_the_images_ends_with_0_only_where_the_service_is_well(
    ports: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PORT", str(ports["order"]))
    assert health.main() == 0
    monkeypatch.setenv("HTTP_PORT", str(free_port()))
    assert health.main() == 1


def test_metrics_are_those_of_the_table(shop: Shop, ports: dict[str, int]) -> None:
    shop.until_completed(3)
    for name, port in ports.items():
        of = "analytics" if name == "analytics" else "publishers"
        families = {re.sub(r"_(sum|count)$", "", metric) for metric, _ in metrics(port)}
        assert families == documented()[of]


def test_counts_and_lag_are_exact_when_all_is_at_rest(shop: Shop, ports: dict[str, int]) -> None:
    shop.until_completed(3)
    shop.settle()
    published = sum(len(shop.world.records(topic)) for topic in ("checkout", "order", "fulfillment"))
    at_analytics = metrics(ports["analytics"])
    assert at_analytics["shop_messages_stored_total", ()] == at_analytics["shop_batch_messages_sum", ()] == published
    at_order = metrics(ports["order"])
    assert at_order["shop_events_published_total", ()] == len(shop.world.records("order"))
    assert at_order["shop_pending_triggers", ()] == 0
    assert at_order["shop_transaction_seconds_sum", ()] > 0
    for name in ("order", "fulfillment", "analytics"):
        lags = {labels: value for (metric, labels), value in metrics(ports[name]).items() if metric == "shop_lag"}
        assert lags
        assert set(lags.values()) == {0.0}


def test_a_service_that_waits_for_kafka_is_not_healthy_and_says_why(shop: Shop) -> None:
    port = free_port()
    shop.start("order", HTTP_PORT=str(port), KAFKA_BOOTSTRAP=f"[::1]:{free_port()}")
    wait_until(lambda: asked(port, "/health")[0] == 503, "the answer that it is not healthy")
    health = json.loads(asked(port, "/health")[1])
    assert health == {"assigned": False, "caught_up": False, "at_work": True, "log_output": True}
    assert asked(port, "/other")[0] == 404


def test_a_second_instance_whose_port_is_taken_works_without(shop: Shop, ports: dict[str, int]) -> None:
    second = shop.start("order", "1", HTTP_PORT=str(ports["order"]))
    second.until_logged("no /metrics and /health")
    second.until_logged("caught up")
