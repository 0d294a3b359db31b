"""The servers that a benchmark works on: a Kafka and a MariaDB of its own, as `make run` starts them."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine

from local.kafka import Kafka
from local.mariadb import MariaDB
from tools.kit import stack
from tools.kit.shop import Shop

PARTITIONS = 6
"""Of each topic, as init-kafka.sh makes them."""


@dataclass(frozen=True)
class Stage:
    """``quick``: small amounts and one round, to see that everything works; the figures are worth little then."""

    kafka: Kafka
    mariadb: MariaDB
    folder: Path
    quick: bool

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 3


@contextmanager
def stage(quick: bool, folder: Path | None = None) -> Iterator[Stage]:
    """Starts both servers, and ends them and forgets their data in the end."""
    with tempfile.TemporaryDirectory(prefix="bench", dir=folder) as home:
        kafka, mariadb = stack.start_both(Path(home), java=())
        try:
            yield Stage(kafka, mariadb, Path(home), quick)
        finally:
            kafka.stop()
            mariadb.stop()


def connections(shop: Shop, user: str = "user") -> Engine:
    """Connections to the analytics database."""
    url = URL.create("mysql+pymysql", user, f"{user}pw", "::1", shop.mariadb.port, shop.databases.analytics)
    return create_engine(url)


def alternate(rounds: int, *measured: Callable[[], float]) -> list[tuple[float, ...]]:
    """Measures everything once a round, in the reverse order every other round: what comes first finds the machine
    in another state than what comes last."""
    found = []
    for number in range(rounds):
        order = list(enumerate(measured))
        values = {index: measure() for index, measure in (order if number % 2 == 0 else order[::-1])}
        found.append(tuple(values[index] for index in range(len(measured))))
        print(f"  round {number + 1}: " + ", ".join(f"{value:,.0f}" for value in found[-1]), flush=True)
    return found


def medians(rounds: list[tuple[float, ...]]) -> list[float]:
    """The median of each thing measured."""
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def wait_until(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Waits for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)
