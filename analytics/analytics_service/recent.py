"""A bounded memory of keys: the ones used least recently go first."""

from collections import OrderedDict
from collections.abc import Iterable


class Recent:
    """Remembers ``most`` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, keys: Iterable[str]) -> None:
        """Remembers the keys, as just used."""
        known = self._keys
        for key in keys:
            known[key] = None
            known.move_to_end(key)
        while len(known) > self._most:
            known.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        self._keys.clear()
