"""How the truth looks: a table per KPI view for people, one object as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from truth.figures import Truth

TruthRow = Mapping[str, Any]


def as_json(truth: Truth, context: Mapping[str, Any]) -> str:
    """The context, then each view under its name: an object, or a list of them where a view has several rows."""
    return json.dumps({**context, **asdict(truth)}, default=_plain)


BETWEEN = 3
"""Blanks between two columns."""
NARROW = 9
"""Letters of a heading that stand in one line, at least."""


def show(truth: Truth, console: Console) -> None:
    """Prints each view that has rows, under its name; wider than the console where a figure would be cut off."""
    tables = [_table(name, view) for name, view in asdict(truth).items() if view]
    console.width = max(console.width, *(_width(table) for table in tables))
    console.print(*tables, sep="", highlight=False)


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
        heading = column.replace("_", " ")
        # Rich would cut a figure off to have room for a heading, which may be broken at its blanks instead.
        shortest = max(min(len(heading), NARROW), *map(len, heading.split()))
        widest = max(len(_text(row[column])) for row in view)
        justify: Literal["left", "right"] = "left" if isinstance(value, str) else "right"
        table.add_column(heading, justify=justify, width=max(shortest, widest))
    for row in view:
        table.add_row(*map(_text, row.values()))
    return table


def _width(table: Table) -> int:
    """How wide a table is whose columns have a width; 0 for the others, which are narrow."""
    return sum((column.width or 0) + BETWEEN for column in table.columns)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)
