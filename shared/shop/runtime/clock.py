"""Time as the runtime sees it; a test passes its own."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    def unix(self) -> float:
        """Seconds since 1970, to compare with what others wrote."""

    def elapsed(self) -> float:
        """Seconds that never jump, to wait by."""


class SystemClock:
    """The machine's clocks."""

    def unix(self) -> float:
        return time.time()

    def elapsed(self) -> float:
        return time.monotonic()


@lru_cache(maxsize=4)
def timestamp(unix: float) -> datetime:
    """An aware UTC time in whole milliseconds, as events carry it."""
    seconds, milliseconds = divmod(int(unix * 1000), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)
