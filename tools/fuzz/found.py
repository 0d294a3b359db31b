"""Inputs that broke a property: a file each, which stays as a regression case."""

import json
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from local.errors import Refusal
from tools.fuzz.messages import Message

FOLDER = Path(__file__).with_name("found")


class Wrong(NamedTuple):
    """A message that breaks a property, and how."""

    message: Message
    reason: str


def keep(message: Message, folder: Path = FOLDER) -> Path:
    """Writes the message down; returns its file, whose name is a hash of all that is in it, and its topic."""
    text = json.dumps(
        {
            "key": _letters(message.key),
            "value": _letters(message.value),
            "headers": [[name, _letters(value)] for name, value in message.headers],
            "timestamp": message.timestamp,
        },
        indent=1,
    )
    file = folder / f"{blake2b(text.encode(), digest_size=6).hexdigest()}.{message.topic}"
    folder.mkdir(exist_ok=True)
    file.write_text(text + "\n")
    return file


def read(file: Path) -> Message:
    """The message in a file that ``keep`` has written. Its suffix is the topic. Raises Refusal where it is none."""
    try:
        held = json.loads(file.read_text())
        kind, unix_ms = held["timestamp"]
        headers = [(name, _bytes(value)) for name, value in held["headers"]]
        return Message(file.suffix[1:], _bytes(held["key"]), _bytes(held["value"]), headers, (kind, unix_ms))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(f"{file} is no message that make fuzz has kept: name a file of {FOLDER}.") from None


def all_found(folder: Path = FOLDER) -> list[Path]:
    """Every file that was kept."""
    return sorted(file for file in folder.iterdir() if not file.name.startswith("."))


def _letters(raw: bytes | None) -> str | None:
    """Bytes as text, a letter each: what is ASCII stays readable."""
    return None if raw is None else raw.decode("latin-1")


def _bytes(letters: str | None) -> bytes | None:
    return None if letters is None else letters.encode("latin-1")
