"""What happens to the processes of the services."""

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.faults.fault import OTHER_SLOT, OWN_SLOT, Fault
from chaos.instances import Instance
from chaos.stage import Stage


@dataclass(frozen=True)
class _OfInstance(Fault):
    service: str
    slot: str

    @property
    def name(self) -> str:
        return f"{self.service}-{self.slot}"

    @property
    def judged(self) -> Sequence[str]:
        return [self.service]

    def instance(self, stage: Stage) -> Instance:
        return stage.instances[self.service, self.slot]


@dataclass(frozen=True)
class _StartedAgain(_OfInstance):
    """It ends, and from when the supervisor has started it again recovery counts."""

    def since(self, stage: Stage, struck: float, mended: float) -> float | None:  # noqa: ARG002
        return next((moment for moment in self.instance(stage).started_at if moment > struck), None)


@dataclass(frozen=True)
class Kill(_StartedAgain):
    """kill -9. The supervisor starts it again in its slot, and from then on recovery counts."""

    figure = OWN_SLOT

    def __str__(self) -> str:
        return f"kill -9 {self.name}"

    def strike(self, stage: Stage) -> None:
        self.instance(stage).send(signal.SIGKILL)


@dataclass(frozen=True)
class KillForLong(_OfInstance):
    """kill -9, and nobody starts it again for so long that another slot takes over. Recovery counts from the kill."""

    figure = OTHER_SLOT
    away: float

    def __str__(self) -> str:
        return f"kill -9 {self.name}, away for {self.away:.0f} s"

    @property
    def lasts(self) -> float:
        return self.away

    def strike(self, stage: Stage) -> None:
        self.instance(stage).hold()
        self.instance(stage).send(signal.SIGKILL)

    def mend(self, stage: Stage) -> None:
        self.instance(stage).release()

    def since(self, stage: Stage, struck: float, mended: float) -> float:  # noqa: ARG002
        return struck


@dataclass(frozen=True)
class Stop(_OfInstance):
    """SIGSTOP, and later SIGCONT: beyond the session and the transaction time-out it wakes as a zombie."""

    stopped: float

    def __str__(self) -> str:
        return f"SIGSTOP {self.name} for {self.stopped:.0f} s"

    @property
    def lasts(self) -> float:
        return self.stopped

    def strike(self, stage: Stage) -> None:
        self.instance(stage).send(signal.SIGSTOP)

    def mend(self, stage: Stage) -> None:
        self.instance(stage).send(signal.SIGCONT)


@dataclass(frozen=True)
class Terminate(_StartedAgain):
    """SIGTERM: it leaves cleanly, and the supervisor starts it again."""

    def __str__(self) -> str:
        return f"SIGTERM {self.name}"

    def strike(self, stage: Stage) -> None:
        self.instance(stage).send(signal.SIGTERM)


@dataclass(frozen=True)
class Join(_OfInstance):
    """A further instance joins, and leaves again after a while."""

    stays: float

    def __str__(self) -> str:
        return f"{self.name} joins, and leaves after {self.stays:.0f} s"

    @property
    def lasts(self) -> float:
        return self.stays

    def strike(self, stage: Stage) -> None:
        stage.join(self.service, self.slot)

    def mend(self, stage: Stage) -> None:
        self.instance(stage).end()


@dataclass(frozen=True)
class SameSlot(_OfInstance):
    """Somebody starts a second process in a slot that is taken. One of the two has to end with exit code 2, and may
    for once; the second one is ended in any case."""

    stays: float

    def __str__(self) -> str:
        return f"a second process in slot {self.name} for {self.stays:.0f} s"

    @property
    def lasts(self) -> float:
        return self.stays

    def strike(self, stage: Stage) -> None:
        self.instance(stage).excused = True
        second = stage.join(self.service, self.slot, key="by mistake")
        second.excused = True
        second.hold()

    def mend(self, stage: Stage) -> None:
        stage.instances[self.service, "by mistake"].end()
        # It may still be told that it was fenced.
        time.sleep(1)
        self.instance(stage).excused = False


@dataclass(frozen=True)
class StepClock(_OfInstance):
    """Started again, it sees the clock jump by an hour after a while, and back later."""

    hours: float
    after: float
    jumped: float

    def __str__(self) -> str:
        return f"the clock of {self.name} jumps by {self.hours:+.0f} h for {self.jumped:.0f} s"

    @property
    def lasts(self) -> float:
        return self.after + self.jumped + 2

    def strike(self, stage: Stage) -> None:
        instance = self.instance(stage)
        steps = ["--hours", str(self.hours), "--after", str(self.after), "--for", str(self.jumped)]
        instance.command = [sys.executable, "-m", "chaos.stepped", self.service, *steps]
        instance.send(signal.SIGTERM)


@dataclass(frozen=True)
class AtOnce(Fault):
    """Two faults at the same moment."""

    first: Fault
    second: Fault

    def __str__(self) -> str:
        return f"{self.first} and {self.second} at once"

    @property
    def lasts(self) -> float:
        return max(self.first.lasts, self.second.lasts)

    def strike(self, stage: Stage) -> None:
        self.first.strike(stage)
        self.second.strike(stage)

    def mend(self, stage: Stage) -> None:
        self.first.mend(stage)
        self.second.mend(stage)
