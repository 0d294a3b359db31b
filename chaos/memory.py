"""What memory the services take, and whether that grows."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from chaos.instances import Instance

LOOK_SECONDS = 2.0
WARM_SECONDS = 120.0
"""From then on a process should take no more."""
WINDOW_SECONDS = 60.0
PAGE = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    at: float
    bytes: int


class Memory:
    """Looks at every process now and then, in a thread of its own."""

    def __init__(self, instances: Callable[[], Iterable[Instance]]) -> None:
        self._instances = instances
        self._samples: dict[tuple[str, int], list[Sample]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def largest(self, service: str) -> int:
        """The most bytes that a process of the service ever took."""
        return max((one.bytes for samples in self._of(service) for one in samples), default=0)

    def growth(self, service: str) -> float | None:
        """By which share a process of the service grew from its second minute on, the worst of those that lived long
        enough to say so."""
        grown = [growth(samples) for samples in self._of(service)]
        return max((one for one in grown if one is not None), default=None)

    def _of(self, service: str) -> list[list[Sample]]:
        return [samples for (name, _), samples in self._samples.items() if name.startswith(f"{service}-")]

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for instance in list(self._instances()):
                pid = instance.pid
                taken = None if pid is None else resident(pid)
                if taken is not None:
                    self._samples.setdefault((instance.name, pid or 0), []).append(Sample(time.time(), taken))


def growth(samples: Sequence[Sample]) -> float | None:
    """How much larger the last minute is than the minute after the second one, as a share; None: it did not last."""
    warm = samples[0].at + WARM_SECONDS
    first = [one.bytes for one in samples if warm <= one.at < warm + WINDOW_SECONDS]
    last = [one.bytes for one in samples if one.at >= max(warm + WINDOW_SECONDS, samples[-1].at - WINDOW_SECONDS)]
    return statistics.mean(last) / statistics.mean(first) - 1 if first and last else None


def resident(pid: int) -> int | None:
    """The bytes of memory that a process has; None where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return None
