"""What a publishing service tells of itself; see docs/monitoring.md."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import SummaryMetricFamily as Summary
from prometheus_client.metrics_core import Metric

from shop.edges.monitoring import SILENT_SECONDS, by_label
from shop.runtime.errors import Unavailable
from shop.runtime.log import Log
from shop.runtime.loop import Processor
from shop.runtime.watchdog import Watchdog

REFUSED = {
    "invalid": "invalid",
    "illegal": "illegal",
    "orphan": "orphan",
    "unproved": "unproved",
    "let_go": "abandoned",
}
"""What is counted, by label. Dashboards know the label ``let_go`` and the metric ``shop_reloads``: both keep their
names."""


class Locks(Protocol):
    """Who watches over the locks of a projection's database: a ``LockWatch``."""

    def start(self) -> None:
        """Watches from now on."""

    @property
    def waits_for(self) -> str | None:
        """For whom storing waits; None: for nobody."""


class Publisher:
    """A service on the runtime, as it is watched."""

    def __init__(self, processor: Processor, log: Log, watchdog: Watchdog, locks: Locks | None = None) -> None:
        self._processor = processor
        self._log = log
        self._watchdog = watchdog
        self._locks = locks

    def health(self) -> Mapping[str, bool]:
        conditions = {
            "assigned": bool(self._log.assignment()),
            "caught_up": self._processor.live,
            "at_work": self._watchdog.silent_for < SILENT_SECONDS,
        }
        return conditions if self._locks is None else conditions | {"unblocked": self._locks.waits_for is None}

    def notes(self) -> Mapping[str, str]:
        waits = self._locks and self._locks.waits_for
        return {"waits_for": waits} if waits else {}

    def metrics(self) -> Iterable[Metric]:
        processor, counts = self._processor, self._processor.counts
        yield Counter("shop_messages_read", "Messages read, those of the output topic included.", counts["read"])
        yield Counter("shop_events_published", "Events in committed transactions.", counts["published"])
        yield Counter("shop_entities_opened", "Entities opened by this service itself.", counts["opened"])
        seconds = processor.transaction_seconds
        yield Summary("shop_transaction_seconds", "Committed transactions.", counts["transactions"], seconds)
        yield Counter("shop_reloads", "Restores from the log after an abort or an error.", counts["restores"])
        refused = Counter("shop_messages_refused", "Messages that led to nothing.", labels=["reason"])
        yield by_label(refused, {(label,): counts[kind] for label, kind in REFUSED.items()})
        yield Gauge("shop_pending_triggers", "Events whose transition is not committed yet.", processor.pending)
        yield Gauge("shop_open_entities", "Entities of which another event is to come.", processor.open_entities)
        yield from self._lag()

    def _lag(self) -> Iterable[Metric]:
        after = self._processor.next
        try:
            ends = self._log.high_watermarks(after)
        except Unavailable:
            return
        lag = Gauge("shop_lag", "Offsets not read yet.", labels=["topic", "partition"])
        yield by_label(lag, {(at.topic, str(at.partition)): max(0, ends[at] - after[at]) for at in ends})
