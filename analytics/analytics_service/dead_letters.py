"""Messages that are no valid event: put away whole, with the reason."""

from typing import NamedTuple
from urllib.parse import quote_from_bytes

from pydantic import ValidationError

Headers = list[tuple[str, bytes | None]]

LONGEST_REASON = 1000


class DeadLetter(NamedTuple):
    """A row of table dead_letter; ``timestamp`` as DATETIME(3) text."""

    log_id: int
    partition: int
    offset: int
    timestamp: str | None
    reason: str
    key: bytes | None
    value: bytes | None
    headers: str | None


def reason_of(error: Exception) -> str:
    """What is wrong, in one line that fits its column."""
    if isinstance(error, ValidationError):
        found = (
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" if item["loc"] else item["msg"]
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return "; ".join(found)[:LONGEST_REASON]
    return str(error)[:LONGEST_REASON]


def encode_headers(headers: Headers | None) -> str | None:
    """Headers as name=value&name=value, percent-encoded; a null value has no ``=``; None where there are none."""
    if not headers:
        return None
    return "&".join(
        _quoted(name.encode()) if value is None else f"{_quoted(name.encode())}={_quoted(value)}"
        for name, value in headers
    )


def _quoted(raw: bytes) -> str:
    return quote_from_bytes(raw, safe="")
