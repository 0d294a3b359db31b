"""The loop of every publishing service: poll, fold, decide, one transaction.

The topic is the state: a transition is true when, and only when, it is committed there. See docs/architecture.md.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

import structlog

from shop.contract.events import Event
from shop.contract.rules import Rules
from shop.runtime.assignment import Tenure, begin
from shop.runtime.clock import Clock, timestamp
from shop.runtime.entity import Entity
from shop.runtime.errors import TransactionFailed, TransactionTimedOut, Unavailable
from shop.runtime.limits import Limits
from shop.runtime.log import Log, Outgoing, Record, TopicPartition, TopicState
from shop.runtime.refusals import Refusals

POLL_RECORDS = 2000
POLL_SECONDS = 0.2
SMALLEST_TRANSACTION = 50
UNFINISHED_SECONDS = 2.0
"""So long after the last record of the own topic came, what is missing may hang: to look at it does no harm."""
STALLED_SECONDS = 30.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 10.0
"""So long without a failure, beyond the last pause, and the next one is the first again."""
FIRST_DATABASE_PAUSE, LONGEST_DATABASE_PAUSE = 0.5, 8.0
REPORT_SECONDS = 10.0

log = structlog.get_logger()


class Source(Protocol):
    """Where new entities come from, in a service that opens them itself."""

    def arrivals(
        self, elapsed: float, now: datetime, held: Sequence[int], partitions: int, most: int
    ) -> Sequence[tuple[int, Event]]:
        """The first events of the entities born by ``elapsed`` seconds, with the partition of ``held`` that each
        one's key hashes to; ``partitions`` is the number of all, ``most`` the number of entities at most."""

    def next_arrival(self) -> float | None:
        """The elapsed seconds at which the next one is due; None when there is none."""


class Projection(Protocol):
    """A table that shows the fold of the own topic."""

    def wait_until_ready(self, stop: Callable[[], bool]) -> None:
        """Blocks until its database answers, or ``stop`` says so. Raises UserError for what a person has to mend."""

    def apply(self, latest: Sequence[tuple[Record, Entity]]) -> None:
        """Stores these events, only ever forward, so that repeating it is harmless. Raises Unavailable."""


class Processor:
    """Runs the rules of one service on the partitions that its group gives it, exactly once."""

    def __init__(
        self,
        source_log: Log,
        rules: Rules[Any],
        clock: Clock,
        limits: Limits,
        *,
        source: Source | None = None,
        projection: Projection | None = None,
        accept_loss: bool = False,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.transaction_seconds = 0.0
        self._log = source_log
        self._rules = rules
        self._own_topic = rules.topic
        self._clock = clock
        self._limits = limits
        self._source = source
        self._projection = projection
        self._accept_loss = accept_loss
        self._heartbeat = heartbeat
        self._most_events = limits.transaction_events
        self._refusals = Refusals(self.counts)
        self._topics: Mapping[str, TopicState] = {}
        self._failures = 0
        self._steady_at = float("-inf")
        self._stall = (0.0, 0)
        self._reported = (clock.elapsed(), Counter[str]())
        self._reload_at: float | None = None
        self._tenure = Tenure(rules.topic, rules.inputs)

    def run(self, stop: Callable[[], bool]) -> None:
        """Works until ``stop`` says so; what was decided by then is committed. Raises UserError only."""
        while not stop():
            self._heartbeat()
            self.step()
        if self._tenure.live:
            self._guarded(self._commit_last)

    @property
    def live(self) -> bool:
        """Whether partitions are assigned, their fold is complete and decisions are made."""
        return self._tenure.live

    @property
    def pending(self) -> int:
        """Triggers that were read and whose transition is not committed yet."""
        return self._tenure.pending

    @property
    def open_entities(self) -> int:
        """Entities in the partitions held of which another event is to come."""
        return sum(partition.open_entities for partition in list(self._tenure.partitions.values()))

    @property
    def next(self) -> Mapping[TopicPartition, int]:
        """The next offset to be read of every partition held."""
        return self._tenure.next

    def step(self) -> None:
        """One turn of the loop; blocks for ``POLL_SECONDS`` while there is nothing to do."""
        self._guarded(self._step)

    def _step(self) -> None:
        batch = self._log.poll(POLL_RECORDS, self._patience())
        unix, elapsed = self._clock.unix(), self._clock.elapsed()
        if self._reload_at is None and (batch.reassigned or self._topics_changed()):
            self._reload_later(elapsed + self._pause(elapsed, first=0.0))
        if self._reload_at is not None:
            if elapsed >= self._reload_at:
                self._reload(elapsed)
            return
        self._report(elapsed)
        self.counts["read"] += len(batch.records)
        for record in batch.records:
            self._read(record, unix, elapsed)
        for end in batch.ends:
            if end.partition in self._tenure.partitions:
                self._tenure.partitions[end.partition].read_end(end.topic, end.offset)
        if not self._tenure.live:
            self._tenure.trim()
        if self._project(elapsed) and self._is_live(unix, elapsed):
            self._admit(unix, elapsed)
            self._conclude()
            self._resolve_doubts(elapsed)
            self._push_back()
            self._transact(unix, elapsed)

    def _read(self, record: Record, unix: float, elapsed: float) -> None:
        partition = self._tenure.partitions.get(record.partition)
        if partition is None:
            return
        if record.topic != self._own_topic:
            partition.read_input(record, unix, elapsed)
        else:
            entity = partition.read_own(record, unix, elapsed)
            if entity is not None and self._projection is not None:
                self._tenure.unprojected.append((record, entity))

    def _transact(self, unix: float, elapsed: float) -> None:
        """Decides what is due and commits it, not oftener than ``transaction_interval`` unless there is more."""
        since = elapsed - self._tenure.committed_at
        if since < self._limits.transaction_interval and not self._tenure.more_is_due:
            return
        decided = self._decide(unix, elapsed)
        first = next(decided, None)
        if first is not None:
            self._commit(chain([first], decided))
        elif since >= self._limits.offsets_interval:
            self._commit([])

    def _decide(self, unix: float, elapsed: float) -> Iterator[Outgoing]:
        """Decides what is due, ``_most_events`` at most, one event at a time as the transaction takes them."""
        tenure, room = self._tenure, self._most_events
        while room and (due := tenure.due(elapsed)) is not None:
            partition, trigger = due
            event = partition.fire(trigger, unix, elapsed)
            if event is not None:
                room -= 1
                yield event
        tenure.more_is_due = len(tenure.arrived) >= room
        births, tenure.arrived = tenure.arrived[:room], tenure.arrived[room:]
        self.counts["opened"] += len(births)
        for number, first in births:
            yield tenure.partitions[number].give_birth(first, unix, elapsed)

    def _admit(self, unix: float, elapsed: float) -> None:
        """Takes in who arrived, while the broker commits what was decided before."""
        tenure = self._tenure
        room = self._most_events - len(tenure.arrived)
        if self._source is not None and room > 0:
            total = tenure.topics[self._own_topic].partitions
            tenure.arrived += self._source.arrivals(elapsed, timestamp(unix), sorted(tenure.partitions), total, room)

    def _commit(self, messages: Iterable[Outgoing]) -> None:
        """One transaction: the events, and the offset of every partition held, so that a member that lost its
        place is fenced (an empty list of offsets would pass). The events travel while further ones are decided, and
        the next batch is read while the broker commits."""
        tenure = self._tenure
        if not messages and tenure.offsets() == tenure.stored:
            return
        self._log.transact(messages, tenure.offsets)
        tenure.committed_at = self._clock.elapsed()

    def _conclude(self) -> None:
        """Waits for the transaction that is under way. Meanwhile a batch was read and folded; should it fail, that
        is forgotten too."""
        done = self._log.outcome()
        if done is None:
            return
        self._tenure.stored = done.offsets
        self.counts["transactions"] += 1
        self.counts["published"] += done.events
        self.transaction_seconds += done.seconds
        if done.events:
            self._most_events = min(self._limits.transaction_events, self._most_events + SMALLEST_TRANSACTION)
            took = round(done.seconds * 1000, 1)
            log.info("committed", events=done.events, milliseconds=took, pending=self._tenure.pending)

    def _commit_last(self) -> None:
        self._conclude()
        self._commit([])
        self._conclude()

    # ---- reload --------------------------------------------------------------------------------------------

    def _reload_later(self, at: float) -> None:
        self._tenure = Tenure(self._rules.topic, self._rules.inputs)
        self._reload_at = at

    def _reload(self, elapsed: float) -> None:
        tenure = begin(self._log, self._rules, self._limits, self._accept_loss, self._refusals)
        if tenure is None:
            self._reload_at = elapsed + self._pause(elapsed)
            return
        if tenure.topics != self._topics:
            self._topics = tenure.topics
            self._refusals.forget()
        self._tenure, self._reload_at = tenure, None
        self._stall = (elapsed, tenure.missing)

    def _is_live(self, unix: float, elapsed: float) -> bool:
        """Step 5 of the reload: nothing is decided before every own partition has been read up to its mark."""
        tenure = self._tenure
        if tenure.live or not tenure.partitions:
            return tenure.live
        if tenure.missing:
            self._look_after_stall(elapsed)
            return False
        for partition in tenure.partitions.values():
            partition.go_live(unix, elapsed)
        self._log.resume(tenure.input_places)
        tenure.live = True
        log.info("caught up", partitions=sorted(tenure.partitions), open_entities=self.open_entities)
        return True

    def _look_after_stall(self, elapsed: float) -> None:
        tenure, (since, missing) = self._tenure, self._stall
        if tenure.missing != missing:
            self._stall = (elapsed, tenure.missing)
        elif elapsed - since >= UNFINISHED_SECONDS and tenure.unfinished and not tenure.unfinished_aborted:
            tenure.unfinished_aborted = True
            self._log.abort_unfinished(tenure.unfinished)
        elif elapsed - since >= STALLED_SECONDS:
            self._stall = (elapsed, missing)
            log.error(
                "no progress in reading the own topic: is a transaction of somebody else open in it?",
                topic=self._rules.topic,
                records_missing=missing,
                partitions=[number for number, one in tenure.partitions.items() if one.missing],
            )

    def _topics_changed(self) -> bool:
        """Whether a topic is another one, or has another number of partitions, than when the tenure began."""
        topics = self._log.topics()
        return any(topics.get(topic) != state for topic, state in self._tenure.topics.items())

    def _guarded(self, action: Callable[..., None], *arguments: object) -> None:
        """Turns every failure that ends by itself into a reload, after a pause that grows."""
        try:
            action(*arguments)
        except (TransactionFailed, Unavailable) as error:
            elapsed = self._clock.elapsed()
            if isinstance(error, TransactionTimedOut) and self._most_events > SMALLEST_TRANSACTION:
                # The next one is smaller, so the reason does not repeat itself.
                self._most_events, pause = max(SMALLEST_TRANSACTION, self._most_events // 2), FIRST_PAUSE
            else:
                pause = self._pause(elapsed)
            self.counts["reloads"] += 1
            self._reload_later(elapsed + pause)
            log.warning("starting anew from the log", reason=str(error), seconds=round(pause, 1))

    def _pause(self, elapsed: float, first: float = FIRST_PAUSE) -> float:
        """The pause before the next reload: ``first`` after a steady time, and longer each time that another one
        follows, whatever the reason. That some transaction was committed in between tells nothing of the reason."""
        if elapsed > self._steady_at:
            self._failures = 0
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._failures) if self._failures else first
        self._failures = min(self._failures + 1, 10)
        self._steady_at = elapsed + pause + STEADY_SECONDS
        return pause

    # ---- what waits ----------------------------------------------------------------------------------------

    def _project(self, elapsed: float) -> bool:
        """Brings the projection up to date before any offset says so; False while its database is away. The
        partitions are paused then, and polling goes on, so that the group keeps this member."""
        tenure = self._tenure
        if self._projection is None or not tenure.unprojected:
            return True
        if tenure.project_at is not None and elapsed < tenure.project_at:
            return False
        try:
            self._projection.apply(tenure.unprojected)
        except Unavailable as error:
            if tenure.project_at is None:
                self._log.pause(tenure.own_places)
                self._log.pause(tenure.input_places)
            pause = min(LONGEST_DATABASE_PAUSE, FIRST_DATABASE_PAUSE * 2.0**tenure.project_failures)
            tenure.project_failures = min(tenure.project_failures + 1, 10)
            tenure.project_at = elapsed + pause
            log.warning("waiting for the database", reason=str(error), seconds=pause)
            return False
        tenure.unprojected, tenure.project_failures = [], 0
        if tenure.project_at is not None:
            tenure.project_at = None
            self._log.resume(tenure.own_places)
            if tenure.live and not tenure.pushed_back:
                self._log.resume(tenure.input_places)
        return True

    def _resolve_doubts(self, elapsed: float) -> None:
        """A trigger whose entity may lie in own records that are not read yet waits for the own partition's end
        as of now; one question to the broker settles all that are in doubt."""
        tenure = self._tenure
        for number, (mark, triggers) in list(tenure.doubted.items()):
            if tenure.partitions[number].next >= mark:
                del tenure.doubted[number]
                tenure.partitions[number].resolve(triggers, elapsed)
        in_doubt = [
            number for number, one in tenure.partitions.items() if one.doubts and number not in tenure.doubted
        ]
        if in_doubt:
            marks = self._log.high_watermarks([TopicPartition(self._rules.topic, number) for number in in_doubt])
            for place, mark in marks.items():
                partition = tenure.partitions[place.partition]
                tenure.doubted[place.partition], partition.doubts = (mark, partition.doubts), []

    def _push_back(self) -> None:
        """Pauses the inputs, never the own topic, above ``pending_limit``; goes on below half of it."""
        tenure = self._tenure
        if not tenure.pushed_back and tenure.pending > self._limits.pending_limit:
            self._log.pause(tenure.input_places)
            tenure.pushed_back = True
            log.warning("inputs paused", pending=tenure.pending)
        elif tenure.pushed_back and tenure.pending < self._limits.pending_limit / 2:
            self._log.resume(tenure.input_places)
            tenure.pushed_back = False
            log.info("inputs resumed", pending=tenure.pending)

    def _report(self, elapsed: float) -> None:
        """Says every ``REPORT_SECONDS`` what was really done per second since the last time."""
        since, before = self._reported
        if elapsed - since < REPORT_SECONDS:
            return
        rates = {
            f"{name}_per_second": round((self.counts[name] - before[name]) / (elapsed - since), 1)
            for name in ("read", "opened", "published")
            if self.counts[name]
        }
        self._reported = (elapsed, self.counts.copy())
        log.info("at work", **rates, pending=self._tenure.pending)

    def _patience(self) -> float:
        """How long the next poll may wait: until something is due, and never long."""
        elapsed = self._clock.elapsed()
        wake = elapsed + POLL_SECONDS
        if self._tenure.live:
            earliest = self._tenure.committed_at + self._limits.transaction_interval
            arrival = self._source.next_arrival() if self._source is not None else None
            arrived = elapsed if self._tenure.arrived else None
            for due in (self._tenure.next_due, arrival, arrived):
                if due is not None:
                    wake = min(wake, max(due, earliest))
        return max(0.0, wake - elapsed)
