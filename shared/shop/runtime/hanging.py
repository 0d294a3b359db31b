"""What tells whether records whose transaction is over, but has no end in the log, may be aborted.

A broker that ends, or is frozen, while it ends a transaction may leave that end out in some partitions, for good
(KAFKA-20734). Nobody sees the records then, nor what comes after them. To abort them is safe as long as the offsets
of their transaction were not stored: they will be decided again. So with the offsets the mark of the last event that
was published in each partition is stored.
"""

import zlib
from collections.abc import Iterable
from typing import NamedTuple

NOTHING = "-"
"""The mark of a partition in which nothing was ever published with its offsets."""


class Unfinished(NamedTuple):
    """The part of an own partition that is not given to readers, and the stored mark."""

    start: int
    end: int
    published: str


def mark(value: bytes) -> str:
    """A short name for an event. Two may have the same one: that only makes us more careful."""
    return f"{zlib.crc32(value):08x}"


def may_be_aborted(published: str, values: Iterable[bytes]) -> bool:
    """Whether the offsets stored with the mark ``published`` are those of a transaction before the one that these
    events are of."""
    return published not in map(mark, values)
