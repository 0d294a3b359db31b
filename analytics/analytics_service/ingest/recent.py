"""A bounded memory of keys: the ones added first go first."""

from collections.abc import Iterable
from itertools import islice


class Recent:
    """Remembers ``size`` keys."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[str]) -> None:
        """Remembers the keys."""
        self._keys.update(dict.fromkeys(keys))
        for key in list(islice(self._keys, max(0, len(self._keys) - self._size))):
            del self._keys[key]

    def clear(self) -> None:
        """Forgets everything."""
        self._keys.clear()
