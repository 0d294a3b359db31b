"""Values of the database as lines of a CSV file (RFC 4180); pure."""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

_QUOTED = re.compile(r'\A\Z|[",\r\n]')
# What Excel or LibreOffice would run: behind blanks too, and full-width, which Excel takes for the same in some
# languages. Apostrophes before it count, so that a guarded text can be told from one that has always begun so.
_FORMULA = re.compile("'*\\s*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def line(values: Iterable[Any], *, guard: bool) -> str:
    """The values as one line with its end.

    NULL is empty and the empty text ``""``. Times are ``YYYY-MM-DD HH:MM:SS.ffffff``, numbers have a point, binary is
    ``0x`` and hex digits. With ``guard``, a text that a spreadsheet would run as a formula gets an apostrophe in
    front: "'=1" for "=1", and "''=1" for "'=1", so that nothing is lost.
    """
    return ",".join([_cell(value, guard) for value in values]) + "\r\n"


def _cell(value: Any, guard: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = f"'{value}" if guard and _FORMULA.match(value) else value
        return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return str(value)
