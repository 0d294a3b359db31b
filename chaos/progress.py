"""When each service was seen to get on, and what follows: how long it took to recover, how long it stood still."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

GRAIN = 0.1
"""Seconds within which two signs of life count as one."""


class Place(NamedTuple):
    topic: str
    partition: int


class Stall(NamedTuple):
    """A service stood still in a partition: from when on, and for how many seconds."""

    service: str
    place: Place
    since: float
    seconds: float


class Progress:
    """A publishing service gets on in a partition when it publishes there, analytics when it stores something of it.

    Times are in seconds since 1970.
    """

    def __init__(self, places: Mapping[str, Iterable[Place]]) -> None:
        self._moments: dict[tuple[str, Place], list[float]] = {
            (service, place): [] for service, its in places.items() for place in its
        }

    @property
    def services(self) -> list[str]:
        return list(dict.fromkeys(service for service, _ in self._moments))

    def note(self, service: str, place: Place, at: float) -> None:
        """Takes in a sign of life; may be called by any thread."""
        moments = self._moments[service, place]
        if not moments or at - moments[-1] >= GRAIN:
            moments.append(at)

    def recovered(self, service: str, since: float) -> float | None:
        """Seconds after ``since`` until the service had got on in every partition; None: it has not yet."""
        first = [self._next(moments, since) for (name, _), moments in self._moments.items() if name == service]
        if None in first:
            return None
        return max(moment for moment in first if moment is not None) - since

    def longest_stall(self, service: str, since: float, until: float) -> Stall:
        """The longest time between two signs of life in one partition."""
        stalls = [
            Stall(service, place, before, after - before)
            for (name, place), moments in self._moments.items()
            if name == service
            for within in [[since, *(moment for moment in moments if since < moment < until), until]]
            for before, after in pairwise(within)
        ]
        return max(stalls, key=lambda stall: stall.seconds)

    @staticmethod
    def _next(moments: list[float], since: float) -> float | None:
        found = bisect_left(moments, since)
        return moments[found] if found < len(moments) else None


def percentile(values: Iterable[float], share: float) -> float:
    """The least value that ``share`` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
