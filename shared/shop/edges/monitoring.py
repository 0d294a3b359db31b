"""What a service tells of itself over HTTP: /metrics for Prometheus, /health for whoever restarts it.

Values are read when somebody asks, from what the service counts anyway: nothing of it is on a message's way.
"""

import json
import platform
import socket
import socketserver
import threading
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from shop.edges import output
from shop.edges.settings import MonitoredSettings

SILENT_SECONDS = 30
"""After so long without a turn of its loop a service counts as stuck."""

log = structlog.get_logger()


class Observed(Protocol):
    """A service to be watched. Both are called from other threads, at any time."""

    def metrics(self) -> Iterable[Metric]:
        """What it counts; see docs/monitoring.md."""

    def health(self) -> Mapping[str, bool]:
        """What has to be true of it, by name: assigned, caught_up, at_work."""

    def notes(self) -> Mapping[str, str]:
        """What a person should know of it besides, by name; mostly nothing."""


def health(observed: Observed) -> Mapping[str, bool]:
    """What has to be true of a service and of its process."""
    return {**observed.health(), "log_output": not output.is_blocked()}


def serve(settings: MonitoredSettings, service: str, observed: Observed) -> None:
    """Answers at HTTP_HOST and HTTP_PORT until the process ends; not at all where the port is 0. A port that is taken
    is said, and the service works without: a second instance on one machine needs no setting."""
    if not settings.http_port:
        return
    registry = CollectorRegistry()
    registry.register(_Collector(service, observed))
    try:
        server = make_server(
            settings.http_host, settings.http_port, _application(registry, observed), _Server, _Handler
        )
    except OSError as error:
        log.warning("no /metrics and /health", HTTP_PORT=settings.http_port, reason=error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()


def by_label(family: Any, values: Mapping[tuple[str, ...], float]) -> Metric:
    """A family of metrics with one value for each combination of its labels."""
    for labels, value in values.items():
        family.add_metric(labels, value)
    metric: Metric = family
    return metric


class _Collector(Collector):
    def __init__(self, service: str, observed: Observed) -> None:
        self._observed = observed
        self._build = {"service": service, "version": version("shop"), "python": platform.python_version()}

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("shop_build", "Which program this is.", self._build)
        conditions = GaugeMetricFamily("shop_healthy", "1 where this holds, else 0.", labels=["condition"])
        yield by_label(conditions, {(name,): float(holds) for name, holds in health(self._observed).items()})
        dropped = "Log lines left out because nobody read them."
        yield CounterMetricFamily("shop_log_lines_dropped", dropped, output.dropped())
        yield from self._observed.metrics()


def _application(registry: CollectorRegistry, observed: Observed) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        if path != "/health":
            return _respond(start_response, HTTPStatus.NOT_FOUND, {"there is": ["/health", "/metrics"]})
        conditions = health(observed)
        status = HTTPStatus.OK if all(conditions.values()) else HTTPStatus.SERVICE_UNAVAILABLE
        return _respond(start_response, status, {**conditions, **observed.notes()})

    return answer


def _respond(start_response: StartResponse, status: HTTPStatus, body: Mapping[str, object]) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [json.dumps(dict(body)).encode() + b"\n"]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without the look-up of a host name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: whoever asks asks every few seconds."""
