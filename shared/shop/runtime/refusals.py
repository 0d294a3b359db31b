"""Messages that lead to nothing: counted each time, said once."""

from collections import Counter

import structlog

from shop.runtime.log import Record

SAID_LIMIT = 10_000
"""Messages that are said, at most: somebody may publish millions of them."""

log = structlog.get_logger()


class Refusals:
    """Outlives restores, which may read the same message again and again: each is counted whenever it is refused, and
    said once in the life of the process."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._said: set[tuple[str, int, int]] = set()

    def refuse(self, kind: str, record: Record, reason: str) -> None:
        """Counts a message as of this kind, and says where it lies and why it is refused."""
        self._counts[kind] += 1
        coordinates = (record.topic, record.partition, record.offset)
        if coordinates in self._said or len(self._said) > SAID_LIMIT:
            return
        self._said.add(coordinates)
        if len(self._said) > SAID_LIMIT:
            log.warning("further messages that are ignored are counted only", said=SAID_LIMIT)
            return
        log.warning(
            f"{kind} message ignored",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason.replace("\n", " ")[:300],
        )

    def count(self, kind: str) -> None:
        """Counts what is said elsewhere."""
        self._counts[kind] += 1

    def forget(self) -> None:
        """What was said before is of other topics than those of now."""
        self._said.clear()
