"""What every fault is."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaos.stage import SERVICES, Stage


@dataclass(frozen=True)
class Figure:
    """A promise: in how many seconds the services that a fault is about have recovered, 99 times of 100."""

    name: str
    seconds: float


OWN_SLOT = Figure("kill -9, started again in its slot", 5.0)
OTHER_SLOT = Figure("kill -9, another slot takes over", 10 + 10 + 3.0)
"""Session and transaction time-out, and three seconds."""
READER_ENDED = Figure("a reader holds locks, and is ended", 30 + 5.0)
"""What storing waits before it ends the session, and five seconds."""
SERVER_BACK = Figure("Kafka or MariaDB is back", 15.0)


@dataclass(frozen=True)
class Fault(abc.ABC):
    """One thing that goes wrong. It has been recovered from when every service has got on in each of its partitions
    since the moment that ``since`` gives: it published there, or analytics stored something of it."""

    figure: ClassVar[Figure | None] = None

    @abc.abstractmethod
    def __str__(self) -> str:
        """What it does, in a few words."""

    @abc.abstractmethod
    def strike(self, stage: Stage) -> None:
        """Does it."""

    def mend(self, stage: Stage) -> None:  # noqa: B027 (most need nothing undone)
        """Undoes what has to be undone, ``lasts`` seconds later."""

    @property
    def lasts(self) -> float:
        """Seconds from ``strike`` to ``mend``."""
        return 0.0

    @property
    def judged(self) -> Sequence[str]:
        """The services that ``figure`` is about."""
        return SERVICES

    def since(self, stage: Stage, struck: float, mended: float) -> float | None:  # noqa: ARG002
        """The moment from which recovery counts; None: it has not come yet."""
        return mended
