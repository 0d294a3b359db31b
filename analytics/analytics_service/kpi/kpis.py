"""The KPIs, as the views of sql/ define them, and how they look."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from sqlalchemy import Connection, text

KpiRow = Mapping[str, Any]

SHOWN: Mapping[str, str] = {
    "funnel": "step_no",
    "checkout": "",
    "order": "",
    "order_cohort": "",
    "revenue": "gross DESC, currency",
    "duration": "step_no",
    "stuck_order": "seconds DESC, order_id",
    "dead_letter": "dead_letters DESC, reason",
    "events": "topic",
}
"""The views that the table shows, without ``kpi_``, and how their rows are ordered; "": always one row."""

ALL: Mapping[str, str] = {
    **SHOWN,
    "top_product": "revenue DESC, product_id, currency",
    "country": "country, currency",
    "customer": "",
    "open_order": "FIELD(status, 'NEW', 'MERCHANT_ACCEPTED', 'SHIPPED', 'DISPUTED'), oldest_seconds",
    **{
        f"{series}_{bucket}": f"at{own}"
        for series, own in (("checkout", ""), ("order", ""), ("revenue", ", currency"), ("events", ", topic"))
        for bucket in ("10s", "minute")
    },
}
"""Every view, likewise."""

MOST_STUCK = 100
"""kpi_stuck_order names no more."""
CLOCK_SKEW = 1.0
"""Seconds by which the clock of the broker may be ahead of that of the database."""
MOST_CURRENCIES = 3
"""In the table, so that it keeps its height."""


MOST_LETTERS = 100_000
"""Dead letters are counted up to so many: each is looked for in three tables, every 2 s."""
_DEAD_LETTERS = f"""
SELECT COUNT(*) AS total,
       COUNT(CASE WHEN checkout.log_id IS NULL AND `order`.log_id IS NULL AND fulfillment.log_id IS NULL THEN 1 END)
         AS unsettled
FROM (SELECT log_id, kafka_partition, kafka_offset FROM dead_letter LIMIT {MOST_LETTERS}) AS letter
LEFT JOIN checkout USING (log_id, kafka_partition, kafka_offset)
LEFT JOIN `order` USING (log_id, kafka_partition, kafka_offset)
LEFT JOIN fulfillment USING (log_id, kafka_partition, kafka_offset)
"""


@dataclass(frozen=True)
class Kpis:
    """What the views say of the last ``window`` seconds. ``views`` holds their rows by their names without ``kpi_``.
    ``lag``: messages that are in Kafka and not yet stored; None: not known. ``dead_letters``: how many there are,
    however old, and how many of them are not settled."""

    window: int
    at: datetime
    lag: int | None
    dead_letters: KpiRow
    views: Mapping[str, list[KpiRow]]

    def one(self, view: str) -> KpiRow:
        """The row of a view that always has one."""
        (row,) = self.views[view]
        return row

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values: amounts as numbers, times in ISO 8601; the one row where there always is one."""
        views = {view: rows if ALL[view] else rows[0] for view, rows in self.views.items()}
        return {name: _plain(value) for name, value in {**vars(self), **views}.items() if name != "views"}


def read(connection: Connection, window: int, lag: int | None, views: Mapping[str, str] = SHOWN) -> Kpis:
    """The KPIs as of now. Raises DBAPIError."""
    connection.execute(text("SET @kpi_window = :window"), {"window": window})

    def rows(view: str, order: str) -> list[KpiRow]:
        query = f"SELECT * FROM kpi_{view}" + (f" ORDER BY {order}" if order else "")
        return [dict(row) for row in connection.execute(text(query)).mappings()]

    letters = dict(connection.execute(text(_DEAD_LETTERS)).mappings().one())
    return Kpis(window, datetime.now(UTC), lag, letters, {view: rows(view, order) for view, order in views.items()})


def table(kpis: Kpis) -> Group:
    """The funnel, durations and revenue, and the other figures below them: 80 columns, some 24 lines, and one more
    where the clock was set back."""
    shown: list[RenderableType] = [_funnel(kpis), "", _durations(kpis), "", _revenue(kpis), "", _figures(kpis)]
    ahead = max(row["ahead_seconds"] for row in kpis.views["events"])
    if ahead > CLOCK_SKEW:
        shown.append(f"the clock went back: events are stored that lie up to {ahead:,.0f} s ahead of it")
    return Group(*shown, *_letters(kpis))


def _table(first: str, *others: str) -> Table:
    """An empty table: names on the left, numbers on the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    made.add_column(first, no_wrap=True)
    for heading in others:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def _funnel(kpis: Kpis) -> Table:
    funnel = _table(f"checkouts created in the last {_window(kpis.window)}", "entered", "went on", "dropped", "share")
    for step in kpis.views["funnel"]:
        counts = (_count(step[name]) for name in ("entered", "went_on", "dropped"))
        funnel.add_row(step["status"], *counts, _share(step["share"]))
    return funnel


def _durations(kpis: Kpis) -> Table:
    durations = _table("seconds that a step takes", "ended", "p50", "p90", "p99")
    for step in kpis.views["duration"]:
        times = (_seconds(step[name]) for name in ("p50", "p90", "p99"))
        durations.add_row(step["step"], _count(step["entities"]), *times)
    return durations


def _revenue(kpis: Kpis) -> Table:
    revenue = _table("revenue", "orders", "gross", "completed", "disputed", "per order", "items")
    for row in kpis.views["revenue"][:MOST_CURRENCIES]:
        amounts = (_money(row[name]) for name in ("gross", "completed", "disputed", "average_order_value"))
        revenue.add_row(row["currency"], _count(row["orders"]), *amounts, f"{row['items_per_order'] or 0:.1f}")
    return revenue


def _figures(kpis: Kpis) -> Table:
    checkout, order, cohort = kpis.one("checkout"), kpis.one("order"), kpis.one("order_cohort")
    letters, events = kpis.views["dead_letter"], kpis.views["events"]
    stuck = len(kpis.views["stuck_order"])
    fresh = [row["freshness_seconds"] for row in events if row["freshness_seconds"] is not None]
    cells = [
        ("conversion", _share(checkout["conversion"])),
        ("abandonment", _share(checkout["abandonment"])),
        ("orders placed", _count(order["placed"])),
        ("COMPLETED / placed", _share(order["completion"])),
        ("orders in flight", _count(cohort["in_flight"])),
        ("DISPUTED / placed", _share(order["dispute_activity"])),
        ("orders stuck", f"{stuck}+" if stuck == MOST_STUCK else str(stuck)),
        ("dispute rate", _share(cohort["dispute_rate"])),
        ("dead letters (unsettled)", f"{_sum(letters, 'dead_letters')} ({_sum(letters, 'unsettled')})"),
        ("events per second", f"{sum(row['per_second'] for row in events):,.1f}"),
        ("newest event, seconds ago", _seconds(min(fresh, default=None))),
        ("lag", "?" if kpis.lag is None else _count(kpis.lag)),
    ]
    figures = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "right"):
        figures.add_column(justify=justify, no_wrap=True)
    for left, right in zip(cells[::2], cells[1::2], strict=True):
        figures.add_row(*left, *right)
    return figures


def _letters(kpis: Kpis) -> Iterator[str]:
    """A line, where there are dead letters, however old."""
    total, unsettled = kpis.dead_letters["total"], kpis.dead_letters["unsettled"]
    if total:
        todo = f"{_count(unsettled)} unsettled: mend the cause and make redrive" if unsettled else "settled"
        yield f"in all {_count(total)}{'' if total < MOST_LETTERS else ' or more'} dead letters, {todo}"


def _window(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _count(number: Any) -> str:
    return f"{int(number):,}"


def _sum(rows: Iterable[KpiRow], column: str) -> str:
    return _count(sum(row[column] for row in rows))


def _share(share: Any) -> str:
    return "-" if share is None else f"{float(share):.1%}"


def _seconds(seconds: Any) -> str:
    return "-" if seconds is None else f"{seconds:,.1f}"


def _money(amount: Any) -> str:
    return f"{amount:,.2f}"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value) if value % 1 else int(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
