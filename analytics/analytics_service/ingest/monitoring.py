"""What the analytics service tells of itself; see docs/monitoring.md."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import SummaryMetricFamily as Summary
from prometheus_client.metrics_core import Metric

from analytics_service.ingest.loader import Loader
from analytics_service.ingest.reader import Ingest
from shop.edges.lock_watch import LockWatch
from shop.edges.monitoring import SILENT_SECONDS, by_label
from shop.runtime.errors import Unavailable
from shop.runtime.kafka.admin import Admin


class Analytics:
    """The service, as it is watched."""

    def __init__(self, ingest: Ingest, loader: Loader, admin: Admin, locks: LockWatch) -> None:
        self._ingest = ingest
        self._loader = loader
        self._admin = admin
        self._locks = locks

    def health(self) -> Mapping[str, bool]:
        return {
            "assigned": bool(self._ingest.stored),
            "caught_up": self._ingest.stored is not None,
            "at_work": self._ingest.silent_for < SILENT_SECONDS and self._loader.failure is None,
            "unblocked": self._locks.waits_for is None,
        }

    def notes(self) -> Mapping[str, str]:
        return {"waits_for": waits} if (waits := self._locks.waits_for) else {}

    def metrics(self) -> Iterable[Metric]:
        counts, seconds = self._loader.counts, self._loader.seconds
        yield Counter("shop_messages_stored", "Messages stored, dead letters included.", counts["messages"])
        yield Counter("shop_dead_letters", "Messages stored as dead letters.", counts["dead_letters"])
        yield Summary("shop_batch_messages", "Messages per batch.", counts["batches"], counts["messages"])
        yield Summary("shop_load_seconds", "Time to store a batch.", counts["batches"], seconds)
        yield from self._lag()

    def _lag(self) -> Iterable[Metric]:
        stored = self._ingest.stored or {}
        try:
            ends = self._admin.high_watermarks(stored)
        except Unavailable:
            return
        lag = Gauge("shop_lag", "Offsets not stored yet.", labels=["topic", "partition"])
        yield by_label(
            lag,
            {(at.topic, str(at.partition)): max(0, end - stored[at]) for at, end in ends.items()},
        )
