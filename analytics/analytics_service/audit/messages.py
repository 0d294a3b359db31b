"""The rules on single messages and what the tables hold of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analytics_service.dead_letters import Headers, encode_headers
from shop.contract.events import Event


class Message(NamedTuple):
    """A committed message. ``time`` is its time stamp in milliseconds; ``broker_time``: the broker set it."""

    offset: int
    time: int
    broker_time: bool
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class StoredRow(NamedTuple):
    """A row of a fact table; ``value`` is the JSON of its event, put together from all tables that it refers to."""

    time: int
    value: str


class Letter(NamedTuple):
    """A row of ``dead_letter``."""

    time: int | None
    key: bytes | None
    value: bytes | None
    headers: str | None = None


class Pair(NamedTuple):
    """A message beside what the tables hold under its coordinates. ``due``: analytics has come this far.

    ``event`` and ``stored`` are what message and row say; a text says why that is no valid event.
    """

    message: Message | None
    event: Event | str | None
    row: StoredRow | None
    stored: Event | str | None
    letter: Letter | None
    due: bool


MessageRule = Callable[[Pair], Iterator[str]]


def stored(pair: Pair) -> Iterator[str]:
    """Each committed message has exactly one row or dead letter, and each of those has its message."""
    if pair.message is None:
        if pair.row or pair.letter:
            yield f"a {'row' if pair.row else 'dead letter'} without a committed message"
    elif pair.row is None and pair.letter is None:
        if pair.due:
            yield "has neither a row nor a dead letter"
    elif isinstance(pair.event, str) and pair.row is not None:
        yield f"is no valid event, yet has a row: {pair.event}"


def fields(pair: Pair) -> Iterator[str]:
    """Every stored message equals the topic's, field for field."""
    message, event, row, letter = pair.message, pair.event, pair.row, pair.letter
    if message is None:
        return
    if row is not None and event is not None and not isinstance(event, str):
        wrong = list(_differences(event, pair.stored))
        if row.time != message.time:
            wrong.append(f"the time stamp is {message.time}, stored {row.time}")
        if wrong:
            yield "; ".join(wrong)
    if letter is not None:
        same = {
            "key": letter.key == message.key,
            "value": letter.value == message.value,
            "headers": letter.headers == encode_headers(message.headers),
            "time stamp": letter.time is None or letter.time == message.time,
        }
        if not all(same.values()):
            yield f"its dead letter has another {' and '.join(name for name in same if not same[name])}"


def key(pair: Pair) -> Iterator[str]:
    """Every event lies under its own key."""
    if (
        pair.message
        and pair.event
        and not isinstance(pair.event, str)
        and pair.message.key != pair.event.key.encode()
    ):
        yield f"the event of {pair.event.key} lies under the key {_text(pair.message.key)}"


MESSAGE_RULES: tuple[MessageRule, ...] = (stored, fields, key)


def is_clean(pair: Pair) -> bool:
    """Whether no rule can have anything to say: the quick answer for nearly all messages."""
    message, event, row, stored_event, letter, _ = pair
    return (
        message is not None
        and event is not None
        and row is not None
        and letter is None
        and event == stored_event
        and row.time == message.time
        and not isinstance(event, str)
        and message.key == event.key.encode()
    )


def _differences(event: Event, rebuilt: Event | str | None) -> Iterator[str]:
    if isinstance(rebuilt, str):
        yield f"the row makes no valid event: {rebuilt}"
        return
    for name in type(event).model_fields:
        ours, theirs = getattr(event, name), getattr(rebuilt, name)
        if ours != theirs:
            yield f"{name} is {_text(ours)}, stored {_text(theirs)}"


def _text(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 120 else f"{text[:120]}..."


class AuditedRange(NamedTuple):
    """What is audited of one partition: offsets from ``start`` up to, but not with, ``end``.

    ``high_watermark``      the end as noted first, before that of any other partition was noted as ``end``
    ``unstored``  the first offset that analytics has not come to
    ``lost``      offsets that a person allowed analytics to lose, as half-open ranges
    """

    topic: str
    partition: int
    start: int
    high_watermark: int
    end: int
    unstored: int
    lost: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive messages of a range, in order, and what the tables hold from the offset of the last chunk's end up
    to this one's, in any order."""

    messages: Sequence[Message]
    rows: Mapping[int, StoredRow]
    letters: Mapping[int, Letter]
