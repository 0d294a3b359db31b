"""What LOAD DATA makes of a text, and a column of a field: a second opinion, from MariaDB's manual and sql/.

It shares no code with what writes the lines.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
"""By the letter after the backslash; any other letter stands for itself."""
_PARTS = re.compile(r"\t|\n|\\.?|[^\t\n\\]+", re.DOTALL)
"""The ends of fields and lines, a backslash with what it escapes, and everything between."""


def decode(text: str) -> list[list[str | None]]:
    r"""The rows with FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n'. Only a field that is nothing
    but ``\N`` is NULL. Raises ValueError where the text does not end with a line."""
    rows: list[list[str | None]] = []
    row: list[str | None] = []
    parts: list[str] = []
    for part in _PARTS.findall(text):
        if part in "\t\n":
            row.append(None if parts == ["\\N"] else "".join(map(_plain, parts)))
            parts = []
            if part == "\n":
                rows.append(row)
                row = []
        else:
            parts.append(part)
    if parts or row:
        raise ValueError(f"the last line has no end: {row} {parts}")
    return rows


def _plain(part: str) -> str:
    """What a part of a field stands for."""
    return _ESCAPED.get(part[1:], part[1:]) if part.startswith("\\") else part


@dataclass(frozen=True)
class Column:
    """A column of sql/: its type in capitals, and what stands in brackets behind it."""

    kind: str
    size: str
    nullable: bool

    def read(self, field: str | None) -> Any:
        """The value that the column holds after the field was loaded. Raises ValueError where it would be another."""
        if field is None:
            if not self.nullable:
                raise ValueError("NULL in a column that is NOT NULL")
            return None
        return _READERS[self.kind](field, self.size)


def tables(sql: str) -> dict[str, dict[str, Column]]:
    """The columns of each table that these statements create."""
    found: dict[str, dict[str, Column]] = {}
    for name, body in re.findall(r"CREATE TABLE IF NOT EXISTS `?(\w+)`? \((.*?)\n\)", sql, re.DOTALL):
        columns = re.findall(
            r"^  ([a-z_]+) +([A-Z]+(?: UNSIGNED)?)(?:\(([^)]*)\))?(.*?)(NOT NULL|NULL)\b", body, re.MULTILINE
        )
        found[name] = {column: Column(kind, size, null == "NULL") for column, kind, size, _between, null in columns}
    return found


def analytics_tables(root: Path) -> dict[str, dict[str, Column]]:
    """The columns of the tables that analytics writes."""
    return tables((root / "sql" / "020-analytics-tables.sql").read_text())


def _text(field: str, size: str) -> str:
    if len(field) > int(size):
        raise ValueError(f"{len(field)} characters in a column for {size}")
    field.encode()  # a lone surrogate is no character
    return field


def _fixed(field: str, size: str) -> str:
    if field.endswith(" "):
        raise ValueError("a CHAR loses the blanks at its end")
    return _text(field, size)


def _enum(field: str, size: str) -> str:
    if f"'{field}'" not in size.split(", "):
        raise ValueError(f"{field!r} is none of {size}")
    return field


def _uuid(field: str, _size: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", field):
        raise ValueError(f"{field!r} is no UUID in its canonical form")
    if int(field[14:16], 16) >= 0x80 >= int(field[19:21], 16):
        raise ValueError(f"MariaDB refuses the UUID {field}")
    return field


def _decimal(field: str, size: str) -> Decimal:
    digits, decimals = map(int, size.split(","))
    if not re.fullmatch(rf"-?\d{{1,{digits - decimals}}}(\.\d{{1,{decimals}}})?", field, re.ASCII):
        raise ValueError(f"{field!r} in a DECIMAL({size})")
    return Decimal(field)


def _time(field: str, size: str) -> datetime:
    if not re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{{1,{size}}})?", field, re.ASCII):
        raise ValueError(f"{field!r} in a DATETIME({size})")
    return datetime.fromisoformat(field).replace(tzinfo=UTC)


def _integer(least: int, most: int) -> Callable[[str, str], int]:
    def read(field: str, _size: str) -> int:
        if not re.fullmatch(r"-?\d{1,19}", field, re.ASCII) or not least <= int(field) <= most:
            raise ValueError(f"{field!r} is no number from {least} to {most}")
        return int(field)

    return read


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "CHAR": _fixed,
    "VARCHAR": _text,
    "ENUM": _enum,
    "UUID": _uuid,
    "DECIMAL": _decimal,
    "DATETIME": _time,
    "TINYINT UNSIGNED": _integer(0, 2**8 - 1),
    "SMALLINT UNSIGNED": _integer(0, 2**16 - 1),
    "INT UNSIGNED": _integer(0, 2**32 - 1),
    "INT": _integer(-(2**31), 2**31 - 1),
    "BIGINT": _integer(-(2**63), 2**63 - 1),
}
