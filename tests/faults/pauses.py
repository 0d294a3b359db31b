"""For how long a service stood still, told by what it left behind, partition by partition."""

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from shop.contract.lifecycle import TOPICS
from tools.kit.shop import Shop

LOOK_SECONDS = 0.2

Times = Mapping[object, Sequence[float]]
"""When each partition made progress, in unix seconds."""


class StoredProgress:
    """Looks every ``LOOK_SECONDS`` at how far analytics has stored each partition of each topic."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._over = threading.Event()
        self.offsets: dict[object, int] = {}
        self.times: dict[object, list[float]] = defaultdict(list)

    @contextmanager
    def watched(self) -> Iterator["StoredProgress"]:
        looking = threading.Thread(target=self._look, daemon=True)
        looking.start()
        try:
            yield self
        finally:
            self._over.set()
            looking.join()

    def _look(self) -> None:
        name = self._shop.databases.analytics
        sql = " UNION ALL ".join(
            f"SELECT '{topic}', kafka_partition, MAX(kafka_offset) FROM {name}.`{topic}` GROUP BY kafka_partition"
            for topic in TOPICS
        )
        while not self._over.wait(LOOK_SECONDS):
            for line in self._shop.mariadb.execute(sql).splitlines()[1:]:
                topic, partition, offset = line.split("\t")
                if self.offsets.get((topic, partition)) != int(offset):
                    self.offsets[topic, partition] = int(offset)
                    self.times[topic, partition].append(time.time())


def published(shop: Shop, topic: str) -> Times:
    """When the broker appended what a service has published."""
    times: dict[object, list[float]] = defaultdict(list)
    for record in shop.world.records(topic):
        times[record.partition].append(record.timestamp)
    return times


def longest_pause(times: Times, since: float, until: float) -> float:
    """The longest time, of those that lie at least partly between the two, in which a partition stood still."""
    assert times
    return max(_longest([*each, until], since, until) for each in times.values())


def _longest(times: Sequence[float], since: float, until: float) -> float:
    between = itertools.pairwise(times)
    return max(
        (min(after, until) - before for before, after in between if after > since and before < until), default=0
    )
