"""Messages that are known to be nasty, by hand; what the fuzzing has found lies in tools/fuzz/found."""

import json
from collections.abc import Iterator
from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE

from shop.contract.events import serialize
from tools.fuzz.messages import EXTREME_TIMES_MS, Headers, Message
from tools.kit.samples import checkout

PRESENT = TIMESTAMP_LOG_APPEND_TIME, 1_800_000_000_123
LETTERS = {
    **{"tab": "\t", "newline": "\n", "carriage return": "\r", "backslash": "\\", "NUL": "\0", "backspace": "\b"},
    **{
        "control-Z": "\x1a",
        "quotes": "'\"`",
        "NULL of LOAD DATA": "\\N",
        "NULL in words": "NULL",
        "escaped tab": "\\t",
    },
    **{
        "backslash at the end": "x\\",
        "backslash before a tab": "\\\t",
        "blank at the end": "x ",
        "only a blank": " ",
    },
    **{
        "4-byte UTF-8": "\U0001f6d2",
        "last code point": "\U0010ffff",
        "no character": "\uffff",
        "replacement": "\ufffd",
    },
    **{"line separator": "\u2028", "next line": "\u0085", "byte order mark": "\ufeff", "right to left": "\u202e"},
    **{"composed": "\u00e9", "decomposed": "e\u0301", "joined": "\U0001f468\u200d\U0001f469", "DEL": "\x7f"},
}
BOUNDS = {"name": 100, "street": 200, "zip": 16, "city": 100}
NUMBERS = {
    **{"NaN": "NaN", "infinity": "Infinity", "1e400": "1e400", "-1e400": "-1e400", "-0.0": "-0.0", "exponent": "1E1"},
    **{"tiny": "5e-324", "as many decimals as a float has": "0.1000000000000000055511151231257827", "1.10": "1.10"},
    **{
        "2**53 + 1": "9007199254740993",
        "2**64": "18446744073709551616",
        "5000 digits": "9" * 5000,
        "leading zero": "01",
    },
    **{"the most": "9999999999.99", "just too much": "10000000000", "rounded up to too much": "9999999999.999"},
    **{"plus": "+1", "no digit before the point": ".5", "no digit behind the point": "1.", "hexadecimal": "0x10"},
    **{"true": "true", "null": "null"},
}


def cases() -> Iterator[tuple[str, Message]]:
    """Each case and what it is called."""
    for name, letter in LETTERS.items():
        yield f"{name} in every text", _message(_changed(dict.fromkeys(BOUNDS, letter), letter))
        yield (
            f"{name} in key and headers",
            _message(b"", letter.encode(), [(letter, letter.encode()), (letter, None)]),
        )
        yield f"{name} for a value", _message(letter.encode())
    for field, max_length in BOUNDS.items():
        for length in (0, 1, max_length - 1, max_length, max_length + 1):
            for letter in ("x", "\U0001f6d2", "\\", " "):
                yield f"{length} times {letter!a} as {field}", _message(_changed({field: letter * length}))
    for length in (0, 1, 64, 65):
        for letter in ("x", "\U0001f6d2", "\t"):
            yield f"{length} times {letter!a} as product_id", _message(_changed({}, letter * length))
    for name, number in NUMBERS.items():
        yield f"{name} as an amount", _message(_value().replace(b"39.8", number.encode()))
        yield f"{name} as a quantity", _message(_value().replace(b'"quantity":2', f'"quantity":{number}'.encode()))
    for name, raw in _bytes().items():
        yield name, _message(raw)
    for unix_ms in (*EXTREME_TIMES_MS, 2**63 - 1, -(2**63)):
        yield f"time {unix_ms}", _message(_value())._replace(timestamp=(TIMESTAMP_CREATE_TIME, unix_ms))
    yield "no time", _message(_value())._replace(timestamp=(TIMESTAMP_NOT_AVAILABLE, -1))
    yield "no key, no value", _message(None, None)
    yield "no bytes at all", _message(b"", b"", [("", b""), ("", None)])
    yield "every byte", _message(bytes(range(256)), bytes(range(256)), [("all", bytes(range(256)))])


def _bytes() -> dict[str, bytes | None]:
    value = _value()
    return {
        "a sound event": value,
        "byte order mark before": b"\xef\xbb\xbf" + value,
        "UTF-16": value.decode().encode("utf-16"),
        "NUL behind": value + b"\0",
        "twice": value + value,
        "key twice": value.replace(b"{", b'{"status":"created",', 1),
        "key twice, the later one wrong": value.replace(b'"currency":"EUR"', b'"currency":"EUR","currency":1'),
        "lone surrogate": value.replace(b"Berlin", b"\\ud800"),
        "surrogates in the wrong order": value.replace(b"Berlin", b"\\udc00\\ud800"),
        "surrogate pair": value.replace(b"Berlin", b"\\ud83d\\uded2"),
        "surrogate in UTF-8": value.replace(b"Berlin", b"\xed\xa0\x80"),
        "overlong UTF-8": value.replace(b"Berlin", b"\xc0\x80"),
        "UTF-8 that is cut off": value.replace(b"Berlin", b"Berlin\xf0\x9f\x9b"),
        "beyond Unicode": value.replace(b"Berlin", b"\xf4\x90\x80\x80"),
        "raw tab": value.replace(b"Berlin", b"Ber\tlin"),
        "escaped letters": value.replace(b"Berlin", b"\\u0042\\u0065\\/"),
        "surrogate as a field's name": value.replace(b"{", b'{"\\ud800":1,', 1),
        "line break as a field's name": value.replace(b"{", b'{"\\n\\u0000\\u001b[2J":1,', 1),
        "name of 5000 letters": value.replace(b"{", b'{"' + b"x" * 5000 + b'":1,', 1),
        "10,000 brackets": b"[" * 10_000,
        "10,000 deep": b"[" * 10_000 + b"]" * 10_000,
        "10,000 deep in a field": value.replace(b"39.8", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        "1 MB of garbage": b"\\" * 1_000_000,
        "1 MB of unknown fields": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
        "1 MB of empty cart lines": b'{"cart_items":[' + b",".join([b"{}"] * 300_000) + b"]}",
        "255 lines": _changed({}, *map(str, range(255))),
        "256 lines": _changed({}, *map(str, range(256))),
    }  # fmt: skip


def _value() -> bytes:
    return serialize(checkout(1))


def _changed(address: dict[str, str], *products: str) -> bytes:
    event: dict[str, Any] = json.loads(_value())
    event["shipping_address"] |= address
    event["cart_items"] = [{"product_id": name, "quantity": 1, "price": 1.5} for name in products or ("tea",)]
    return json.dumps(event, ensure_ascii=False).encode()


def _message(value: bytes | None, key: bytes | None = b"key", headers: Headers | None = None) -> Message:
    return Message("checkout", key, value, headers or [], PRESENT)
