"""Messages as a foreign producer could write them: valid, nearly valid, and garbage."""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE

from shop.contract.lifecycle import TOPICS
from tools.fuzz.mutation import Mutation

Headers = list[tuple[str, bytes | None]]

NOW_MS = 1_800_000_000_123
EXTREME_TIMES_MS = (0, -1, 1, 999, -62_135_596_800_000, -62_135_596_800_001, 253_402_300_799_999, 253_402_300_800_000)
LARGEST = 1_000_000
"""Bytes; what a broker takes by default."""


class Message(NamedTuple):
    """All of a message that is its producer's choice; ``timestamp`` is a kind and milliseconds since 1970."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: tuple[int, int]


class MessageSource:
    """Draws messages. The same seed and samples give the same messages."""

    def __init__(self, seed: int, samples: Mapping[str, Sequence[bytes]], bounds: Mapping[str, int]) -> None:
        self._random = Random(seed)
        self._mutation = Mutation(self._random, bounds)
        self._samples = samples

    def draw(self) -> Message:
        """The next message."""
        topic = self._random.choice(TOPICS)
        return Message(topic, self._key(), self._value(topic), self._headers(), self._timestamp())

    def _value(self, topic: str) -> bytes | None:
        sample = self._random.choice(self._samples[topic])
        match self._random.randrange(20):
            case 0:
                return self._garbage()
            case 1 | 2:
                return self._mutation.of_bytes(sample)
            case 3 | 4 | 5 | 6 | 7:
                return self._mutation.of_bytes(self._mutation.nearly_valid(sample))
            case 8 | 9 | 10 | 11:
                return self._mutation.nearly_valid(sample)
            case _:
                return self._mutation.valid(sample)

    def _garbage(self) -> bytes | None:
        match self._random.randrange(8):
            case 0:
                return None
            case 1:
                return b""
            case 2:
                return self._random.choice((b"[", b'{"a":', b"\\", b"\t", b"\0")) * self._random.randrange(1, 20_000)
            case 3:
                return json.dumps(self._random.choice((1, None, [], {}, "text", True))).encode()
            case 4 if self._random.random() < 0.05:
                return self._random.randbytes(1000) * (LARGEST // 1000)
            case _:
                return self._random.randbytes(self._random.randrange(1, 200))

    def _key(self) -> bytes | None:
        match self._random.randrange(5):
            case 0:
                return None
            case 1:
                return b""
            case _:
                return self._random.randbytes(self._random.randrange(1, 40))

    def _headers(self) -> Headers:
        if self._random.random() < 0.7:
            return []
        return [
            (
                self._mutation.text(20),
                None if self._random.random() < 0.2 else self._random.randbytes(self._random.randrange(20)),
            )
            for _ in range(self._random.randrange(1, 4))
        ]

    def _timestamp(self) -> tuple[int, int]:
        match self._random.randrange(40):
            case 0:
                return TIMESTAMP_NOT_AVAILABLE, -1
            case 1:
                return TIMESTAMP_CREATE_TIME, self._random.choice(EXTREME_TIMES_MS)
            case 2:
                return TIMESTAMP_CREATE_TIME, self._random.randrange(-(2**63), 2**63)
            case 3:
                return TIMESTAMP_CREATE_TIME, self._random.randrange(-62_135_596_800_000, 253_402_300_800_000)
            case _:
                return TIMESTAMP_LOG_APPEND_TIME, NOW_MS + self._random.randrange(100)
