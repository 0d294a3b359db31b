"""When each service was seen to get on, and what follows: how long it took to recover, how long it stood still."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

GRAIN = 0.1
"""Seconds within which two signs of life count as one."""


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Sign(NamedTuple):
    """A sign of life, seen ``at`` a moment; what it tells of happened then, or earlier, but not before ``since``."""

    since: float
    at: float


class Stall(NamedTuple):
    """A service stood still in a partition: from when on, and for how many seconds."""

    service: str
    topic_partition: TopicPartition
    since: float
    seconds: float


class ProgressRecord:
    """A publishing service gets on in a partition when it publishes there, analytics when it stores something of it.

    Times are in seconds since 1970.
    """

    def __init__(self, topic_partitions: Mapping[str, Iterable[TopicPartition]]) -> None:
        self._signs: dict[tuple[str, TopicPartition], list[Sign]] = {
            (service, topic_partition): [] for service, its in topic_partitions.items() for topic_partition in its
        }

    @property
    def services(self) -> list[str]:
        return list(dict.fromkeys(service for service, _ in self._signs))

    def note(self, service: str, topic_partition: TopicPartition, at: float, since: float | None = None) -> None:
        """Takes in a sign of life; may be called by any thread. ``since``: when there was none yet, where it is told
        later than it happened."""
        signs = self._signs[service, topic_partition]
        if not signs or at - signs[-1].at >= GRAIN:
            signs.append(Sign(at if since is None else since, at))

    def recovered(self, service: str, since: float) -> float | None:
        """Seconds after ``since`` until the service was seen to have got on after it in every partition; None: it has
        not yet."""
        first = [self._next(signs, since) for (name, _), signs in self._signs.items() if name == service]
        if None in first:
            return None
        return max(moment for moment in first if moment is not None) - since

    def longest_stall(self, service: str, since: float, until: float) -> Stall:
        """The longest time between two signs of life in one partition."""
        stalls = [
            Stall(service, topic_partition, before, after - before)
            for (name, topic_partition), signs in self._signs.items()
            if name == service
            for within in [[since, *(sign.at for sign in signs if since < sign.at < until), until]]
            for before, after in pairwise(within)
        ]
        return max(stalls, key=lambda stall: stall.seconds)

    @staticmethod
    def _next(signs: list[Sign], since: float) -> float | None:
        found = bisect_left(signs, since, key=lambda sign: sign.since)
        return signs[found].at if found < len(signs) else None


def percentile(values: Iterable[float], share: float) -> float:
    """The least value that ``share`` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
