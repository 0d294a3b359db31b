"""Messages that are no valid event: put away whole, with the reason."""

from operator import methodcaller
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from confluent_kafka import Message
from pydantic import ValidationError

Headers = list[tuple[str, bytes | None]]

LONGEST_REASON = 1000
LONGEST_NAME = 100
"""Of a field in a reason: an unknown one has whatever name the sender likes, and what is wrong stands behind it."""

# The client's answer has to be checked, which Python leaves out where it has made a call in the code itself fast.
_ask_for_headers = methodcaller("headers")


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
            f"{'.'.join(map(str, item['loc']))[:LONGEST_NAME]}: {item['msg']}" if item["loc"] else item["msg"]
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return _one_line("; ".join(found))[:LONGEST_REASON]
    return _one_line(str(error))[:LONGEST_REASON]


def headers_of(message: Message) -> Headers | None:
    """The headers of a message from a consumer, which may be asked for once.

    Raises ValueError where a name is not UTF-8: then the client tells none of them.
    """
    try:
        headers: Headers | None = _ask_for_headers(message)
    except SystemError as error:
        # What Python makes of an answer beside a UnicodeDecodeError. The answer has holes in it, a second call would
        # give it, and whoever looks at it crashes.
        raise ValueError(f"its headers cannot be read: {error.__cause__}") from None
    return headers


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


def _one_line(text: str) -> str:
    # The names of unknown fields are in it, which may be any text.
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
