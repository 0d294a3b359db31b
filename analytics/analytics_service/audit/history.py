"""What the audit remembers of the topics: 60 bytes per message, grouped by family.

A family is a checkout, its order and its fulfillment. The order's id names it: it can be derived from the
checkout's, and stands in the fulfillment's events. Entries go into one of ``BUCKETS`` files by a hash of the family,
so a family is whole in one bucket whatever partitions its events lie in; then one bucket at a time is loaded, sorted
and judged. So memory is bounded by the largest bucket, and the disk holds the rest: 10 million messages make 600 MB
of temporary files and buckets of 2.4 MB.
"""

import struct
from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID
from zlib import crc32

from shop.contract.lifecycle import LIFECYCLES

BUCKETS = 256
HELD_BYTES = 32 * 1024 * 1024
"""What is held back in memory before it goes to the files."""

STATUSES: tuple[tuple[str, StrEnum], ...] = tuple(
    (lifecycle.topic, status) for lifecycle in LIFECYCLES for status in lifecycle.transitions
)
"""Every status of every topic; an entry holds its number."""
NUMBERS = {status: number for number, status in enumerate(STATUSES)}

RECENT = 1
"""Flag: appended after the ends of all partitions were noted, so what caused it may lie beyond what is read."""
STRANGE_ID = 2
"""Flag: its id is not the one derived from its parent's."""
BROKER_TIME = 4
"""Flag: the broker set the time, so that times in different topics can be compared."""
TABLE_ROW = 8
"""Flag: not a message but a row of fulfillment's own table."""

NO_DIGEST = bytes(8)

_PACKING = struct.Struct("<16s16sBBHqq8s")


class Entry(NamedTuple):
    """One message, or one row of fulfillment's table.

    ``family``     the order's id
    ``subject``    id of the checkout (in an order's entries too), or of the fulfillment
    ``number``     which of ``STATUSES`` it reached
    ``time``       milliseconds since 1970: the message's time stamp, the row's ``updated_at``
    ``digest``     of what must be equal elsewhere: what was bought, or what fulfillment's table shows
    """

    family: bytes
    subject: bytes
    number: int
    flags: int
    partition: int
    offset: int
    time: int
    digest: bytes

    @property
    def topic(self) -> str:
        return STATUSES[self.number][0]

    @property
    def status(self) -> StrEnum:
        return STATUSES[self.number][1]

    @property
    def name(self) -> str:
        """What it is about, as people say it."""
        topic = self.topic
        return f"{topic} {UUID(bytes=self.subject if topic == 'checkout' else self.family)}"


class History:
    """Takes in entries and gives them back family by family. Use as a context manager: it owns temporary files."""

    def __init__(self, held_bytes: int = HELD_BYTES) -> None:
        self._directory = TemporaryDirectory(prefix="audit-")
        self._buckets = [bytearray() for _ in range(BUCKETS)]
        self._held_bytes = held_bytes
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._directory.cleanup()

    def add(self, entry: Entry) -> None:
        self._buckets[crc32(entry[0]) % BUCKETS] += _PACKING.pack(*entry)
        self._held += _PACKING.size
        if self._held >= self._held_bytes:
            self._spill()

    def families(self) -> Iterator[list[Entry]]:
        """The entries of every family, each family once, in the order in which they were added."""
        for number, held in enumerate(self._buckets):
            file = self._file(number)
            packed = (file.read_bytes() if file.exists() else b"") + held
            entries = sorted(map(Entry._make, _PACKING.iter_unpack(packed)), key=itemgetter(0))
            for _, family in groupby(entries, key=itemgetter(0)):
                yield list(family)

    def _spill(self) -> None:
        for number, held in enumerate(self._buckets):
            with self._file(number).open("ab") as file:
                file.write(held)
            held.clear()
        self._held = 0

    def _file(self, number: int) -> Path:
        return Path(self._directory.name) / str(number)
