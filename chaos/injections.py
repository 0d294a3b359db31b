"""Wrong messages that somebody else publishes, and the list of them: what each is, and what must become of it."""

import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

OF_LIVES = {"once", "legal"}
"""Rules by which the auditor judges whole lives."""
HEADER = "chaos"
"""Each such message carries its number under this name."""


class Coordinates(NamedTuple):
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Injection:
    """``row``: it is a valid event, and has a row in the table of its topic; else it is a dead letter. ``lives``: the
    services must treat it like one of their own. ``rule``: which of the auditor's rules it breaks, if any."""

    what: str
    topic: str
    row: bool = False
    lives: bool = False
    rule: str | None = None
    visible: bool = True


class Injections:
    """All of them, by number. Any thread may ask."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._planned: dict[int, Injection] = {}
        self._acknowledged: dict[int, Coordinates] = {}
        self._seen: dict[int, list[Coordinates]] = {}
        self._lock = threading.Lock()

    def plan(self, injection: Injection) -> int:
        """Its number, to be published in ``HEADER``."""
        number = next(self._numbers)
        self._planned[number] = injection
        return number

    def acknowledge(self, number: int, at: Coordinates) -> None:
        """The broker has said that it took the message."""
        self._acknowledged[number] = at

    def see(self, number: int, at: Coordinates) -> Injection:
        """The message was read from the topic."""
        with self._lock:
            self._seen.setdefault(number, []).append(at)
        return self._planned[number]

    @property
    def count(self) -> int:
        """How many were read from the topics."""
        return sum(map(len, list(self._seen.values())))

    def forget(self, topic: str) -> None:
        """The topic was recreated: what lay in it is gone, and nobody judges the lives that began before."""
        with self._lock:
            for number, injection in self._planned.items():
                if injection.rule in OF_LIVES:
                    self._planned[number] = replace(injection, rule=None)
                if injection.topic == topic:
                    self._seen.pop(number, None)
                    self._acknowledged.pop(number, None)

    def expectations(self) -> Iterator[Mapping[str, object]]:
        """What the auditor must find, in its format."""
        for number, topic_partitions in self._seen.items():
            rule = self._planned[number].rule
            if rule is not None:
                yield from ({"rule": rule, **at._asdict()} for at in topic_partitions)

    def wrongs(self) -> list[str]:
        """Where the topics differ from what was published."""
        found = [
            f"injection {number} ({self._planned[number].what}) was taken at {at}, read at {self._seen.get(number)}"
            for number, at in self._acknowledged.items()
            if self._seen.get(number) != [at]
        ]
        return found + [
            f"injection {number} ({self._planned[number].what}) was read at {topic_partitions}"
            for number, topic_partitions in self._seen.items()
            if number not in self._acknowledged and (len(topic_partitions) > 1 or not self._planned[number].visible)
        ]


def event_of(value: bytes, **changes: object) -> bytes:
    """The event with some fields changed, or added."""
    return json.dumps(json.loads(value) | changes, ensure_ascii=False).encode()
