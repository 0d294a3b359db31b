"""Whether a hanging transaction (KIP-664) may be aborted.

A broker that ends, or is frozen, while it ends a transaction may never write the end marker to some partitions
(KAFKA-20734). ``read_committed`` returns neither those records nor what follows them then. To abort them is safe as
long as the offsets of their transaction were not committed: they will be decided again. So the committed offsets
carry the checksum of the last event that was published in each partition.
"""

import zlib
from collections.abc import Iterable
from typing import NamedTuple

NOTHING = "-"
"""In place of a checksum: nothing was ever published in the partition with its offsets."""


class HangingTransaction(NamedTuple):
    """The part of an output partition that readers do not get, and the checksum of the last event published before
    it."""

    start: int
    end: int
    published: str


def checksum(value: bytes) -> str:
    """A short name for an event. Two may have the same one: that only makes us more careful."""
    return f"{zlib.crc32(value):08x}"


def may_be_aborted(published: str, values: Iterable[bytes]) -> bool:
    """Whether the offsets committed with the checksum ``published`` are those of a transaction before the one that
    these events are of."""
    return published not in map(checksum, values)
