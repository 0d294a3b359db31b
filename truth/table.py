"""How the truth looks: a table per KPI view for people, one object as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from truth.figures import Truth

TruthRow = Mapping[str, Any]


def as_json(truth: Truth, context: Mapping[str, Any]) -> str:
    """The context, then each view under its name: an object, or a list of them where a view has several rows."""
    return json.dumps({**context, **asdict(truth)}, default=_plain)


def tables(truth: Truth) -> Group:
    """Each view that has rows, under its name. 80 columns wide."""
    return Group(*(_table(name, view) for name, view in asdict(truth).items() if view))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return float(value)


def _table(name: str, view: TruthRow | Sequence[TruthRow]) -> Table:
    table = Table(title=name, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    if isinstance(view, Mapping):
        table.show_header = False
        for column, value in view.items():
            table.add_row(column, _text(value))
        table.columns[1].justify = "right"
        return table
    for column, value in view[0].items():
        table.add_column(column.replace("_", " "), justify="left" if isinstance(value, str) else "right")
    for row in view:
        table.add_row(*map(_text, row.values()))
    return table


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)
