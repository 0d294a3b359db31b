"""Which entities have come to their end, in few bytes: what a restore needs to know of most of them."""

from bisect import bisect_left
from enum import StrEnum

WIDTH = 16


class IdSet:
    """A set of UUIDs in their text form: most take 16 bytes each, an eighth of them at most are Python objects.
    To look one up takes some microseconds."""

    def __init__(self, smallest_merge: int = 1024) -> None:
        self._smallest_merge = smallest_merge
        self._sorted = b""
        self._recent: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._sorted) // WIDTH + len(self._recent)

    def __contains__(self, name: str) -> bool:
        wanted = _bytes(name)
        if wanted in self._recent:
            return True
        count = len(self._sorted) // WIDTH
        at = bisect_left(range(count), wanted, key=self._at)
        return at < count and self._at(at) == wanted

    def add(self, name: str) -> None:
        if name not in self:
            self._recent.add(_bytes(name))
        if len(self._recent) > max(self._smallest_merge, len(self) // 8):
            count = len(self._sorted) // WIDTH
            self._sorted = b"".join(sorted([*map(self._at, range(count)), *self._recent]))
            self._recent = set()

    def _at(self, index: int) -> bytes:
        return self._sorted[index * WIDTH : (index + 1) * WIDTH]


class ClosedEntities:
    """The last status of entities of which nothing more is to come."""

    def __init__(self) -> None:
        self._ids: dict[StrEnum, IdSet] = {}

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, name: str, status: StrEnum) -> None:
        self._ids.setdefault(status, IdSet()).add(name)

    def status(self, name: str) -> StrEnum | None:
        """None where the entity is not known to be closed."""
        return next((status for status, ids in self._ids.items() if name in ids), None)


def _bytes(name: str) -> bytes:
    return bytes.fromhex(name.replace("-", ""))
