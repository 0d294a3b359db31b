"""The KPIs, as the views of sql/ define them, and how they look."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.table import Table
from sqlalchemy import Connection, text

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Kpis:
    """What the views say of the last ``window`` seconds; fields hold the views' columns. ``lag``: messages that are
    in Kafka and not yet stored; None: not known."""

    window: int
    at: datetime
    funnel: list[Row]
    checkout: Row
    order: Row
    revenue: list[Row]
    orders_in_flight: int
    dead_letters: Row
    events: list[Row]
    lag: int | None

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values: amounts as numbers, times in ISO 8601."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def read(connection: Connection, window: int, lag: int | None) -> Kpis:
    """The KPIs as of now. Raises DBAPIError."""
    connection.execute(text("SET @kpi_window = :window"), {"window": window})

    def rows(view: str) -> list[Row]:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {view}")).mappings()]

    return Kpis(
        window=window,
        at=datetime.now(UTC),
        funnel=sorted(rows("kpi_funnel"), key=lambda step: int(step["step_no"])),
        checkout=rows("kpi_checkout")[0],
        order=rows("kpi_order")[0],
        revenue=rows("kpi_revenue"),
        orders_in_flight=int(rows("kpi_orders_in_flight")[0]["orders_in_flight"]),
        dead_letters=rows("kpi_dead_letters")[0],
        events=rows("kpi_events"),
        lag=lag,
    )


def table(kpis: Kpis) -> Table:
    """The funnel, and the other figures below it. 80 columns wide."""
    both = Table.grid()
    both.add_row(_funnel(kpis))
    both.add_row(_figures(kpis))
    return both


def _funnel(kpis: Kpis) -> Table:
    funnel = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    funnel.add_column(f"checkouts created in the last {_window(kpis.window)}", no_wrap=True)
    for heading in ("reached", "dropped", "drop-off"):
        funnel.add_column(heading, justify="right", no_wrap=True)
    for step in kpis.funnel:
        dropped = "" if step["dropped"] is None else _count(step["dropped"])
        drop_off = "" if step["dropped"] is None else _share(step["drop_off"])
        funnel.add_row(step["status"], _count(step["checkouts"]), dropped, drop_off)
    return funnel


def _figures(kpis: Kpis) -> Table:
    letters = kpis.dead_letters
    cells = [
        ("CheckoutSubmitted / created", _share(kpis.checkout["conversion"])),
        ("orders placed", _count(kpis.order["placed"])),
        ("COMPLETED / NEW", _share(kpis.order["completion"])),
        ("orders in flight", _count(kpis.orders_in_flight)),
        ("DISPUTED / NEW", _share(kpis.order["dispute_share"])),
        ("dead letters (unsettled)", f"{_count(letters['dead_letters'])} ({_count(letters['unsettled'])})"),
        ("revenue", _money((row["currency"], row["revenue"]) for row in kpis.revenue)),
        ("events per second", f"{sum(row['per_second'] for row in kpis.events):,.1f}"),
        ("average order value", _money((row["currency"], row["average_order_value"]) for row in kpis.revenue)),
        ("lag", "?" if kpis.lag is None else _count(kpis.lag)),
    ]
    figures = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "right"):
        figures.add_column(justify=justify, no_wrap=True)
    for left, right in zip(cells[::2], cells[1::2], strict=True):
        figures.add_row(*left, *right)
    return figures


def _window(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _count(number: Any) -> str:
    return f"{int(number):,}"


def _share(share: Any) -> str:
    return "-" if share is None else f"{float(share):.1%}"


def _money(amounts: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in amounts) or "-"


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
