"""One run: load, one fault after the other, the end of the load."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos import tables
from chaos.draw import Planned
from chaos.stage import SERVICES, TOPICS, Stage, wait_until

FLOWING_SECONDS = 180.0
RECOVER_SECONDS = 120.0
STILL_SECONDS = 120.0
"""What has not moved for so long does not move any more."""
QUIET_SECONDS = 10.0
"""After so long without a message, at speed 1, no shopper is thinking any more."""


@dataclass(frozen=True)
class Happened:
    """A fault that happened. Times are in seconds since 1970. ``recovered``: seconds per service after ``since``,
    None where it took longer than anybody waited. ``alone``: from its beginning to its end there was no other one."""

    planned: Planned
    struck: float
    mended: float
    since: float
    recovered: Mapping[str, float | None]
    alone: bool


class Run:
    """Plays the faults of a plan on a stage that is up."""

    def __init__(self, stage: Stage, plan: Sequence[Planned]) -> None:
        self.began = time.time()
        """When the services were at work, once ``until_flowing`` has returned."""
        self.ended = self.began
        """When the load ended."""
        self._stage = stage
        self._plan = plan
        self._moments: list[tuple[float, float]] = []

    def until_flowing(self) -> bool:
        """Waits until every service gets on in every partition and orders come to their end; whether they do."""
        flowing = wait_until(
            lambda: (
                all(self._stage.progress.recovered(service, self.began) is not None for service in SERVICES)
                and self._stage.record.samples("order", "COMPLETED", self.began)
            ),
            FLOWING_SECONDS,
        )
        self.began = time.time()
        return flowing

    def play(self) -> None:
        """Lets the faults happen, each as soon as it may, and says of each what it cost."""
        stage = self._stage
        for number, planned in enumerate(self._plan):
            fault = planned.fault
            time.sleep(planned.pause)
            struck = time.time()
            stage.say(f"{struck - self.began:6.0f} s  {planned.number:3}  {fault}")
            fault.strike(stage)
            time.sleep(max(0.0, struck + fault.lasts - time.time()))
            fault.mend(stage)
            self._moments.append((struck, time.time()))
            if not self._is_followed_at_once(number):
                wait_until(lambda number=number: self._recovered(number), RECOVER_SECONDS)  # type: ignore[misc]
                took = self.happened[number].recovered
                stage.say("               " + ", ".join(f"{name} {shown(took[name])}" for name in SERVICES))
        self.ended = time.time()

    def settle(self) -> bool:
        """Ends the load and waits until nothing moves any more; whether everything has come to its end by then."""
        self.ended = time.time()
        self._stage.end_load()
        moved_at, before = time.time(), (0, 0)
        while not self._is_settled():
            now = self._counts()
            if now != before:
                moved_at, before = time.time(), now
            if time.time() - moved_at > STILL_SECONDS:
                return False
            time.sleep(1)
        return True

    @property
    def happened(self) -> list[Happened]:
        """What has happened so far."""
        return [self._outcome(number) for number in range(len(self._moments))]

    def _outcome(self, number: int) -> Happened:
        planned, (struck, mended) = self._plan[number], self._moments[number]
        since = planned.fault.since(self._stage, struck, mended)
        recovered = {
            service: None if since is None else self._stage.progress.recovered(service, since) for service in SERVICES
        }
        alone = not planned.hasty and not self._is_followed_at_once(number)
        return Happened(planned, struck, mended, mended if since is None else since, recovered, alone)

    def _recovered(self, number: int) -> bool:
        return None not in self._outcome(number).recovered.values()

    def _is_followed_at_once(self, number: int) -> bool:
        return number + 1 < len(self._plan) and self._plan[number + 1].hasty

    def _is_settled(self) -> bool:
        record = self._stage.record
        quiet = time.time() - max(self.ended, record.last_at)
        read, stored = self._counts()
        return quiet > QUIET_SECONDS / self._stage.load.speed and record.chains.in_flight == 0 and stored == read

    def _counts(self) -> tuple[int, int]:
        """The events in the topics, and those of them that are stored."""
        stored = sum(tables.rows(self._stage.mariadb, topic).get(topic, 0) for topic in TOPICS)
        return sum(self._stage.record.rows.values()), stored


def shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"
