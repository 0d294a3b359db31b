"""The loop of every publishing service: poll, fold, decide, one transaction.

The topic is the state: a transition is true when, and only when, it is committed there. See docs/architecture.md.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from shop.contract.events import Event
from shop.contract.rules import Rules
from shop.runtime.assignment import AssignmentState, restore
from shop.runtime.backoff import BackOff
from shop.runtime.clock import Clock, timestamp
from shop.runtime.entity import Entity
from shop.runtime.errors import TransactionFailed, TransactionTimedOut, Unavailable
from shop.runtime.limits import Limits
from shop.runtime.log import Log, Offsets, Outgoing, Record, TopicPartition, TopicState
from shop.runtime.refusals import Refusals

POLL_RECORDS = 2000
POLL_SECONDS = 0.2
SMALLEST_TRANSACTION = 50
HANGING_SECONDS = 2.0
"""How long without a record before we look for a hanging transaction. To look does no harm."""
STALLED_SECONDS = 30.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 10.0
"""So long without a failure, beyond the last pause, and the next one is the first again."""
REPORT_SECONDS = 10.0

log = structlog.get_logger()


class EntitySource(Protocol):
    """Where new entities come from, in a service that opens them itself."""

    def arrivals(
        self, elapsed: float, now: datetime, held: Sequence[int], partitions: int, max_entities: int
    ) -> Sequence[tuple[int, Event]]:
        """The first events of the entities born by ``elapsed`` seconds, with the partition of ``held`` that each
        one's key hashes to; ``partitions`` is the number of all, ``max_entities`` the number of entities at most."""

    def next_arrival(self) -> float | None:
        """The elapsed seconds at which the next one is due; None when there is none."""


class Projection(Protocol):
    """A table that shows the fold of the output topic."""

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
        source: EntitySource | None = None,
        projection: Projection | None = None,
        accept_loss: bool = False,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.transaction_seconds = 0.0
        self._log = source_log
        self._rules = rules
        self._output_topic = rules.topic
        self._clock = clock
        self._limits = limits
        self._source = source
        self._projection = projection
        self._accept_loss = accept_loss
        self._heartbeat = heartbeat
        self._max_events = limits.transaction_events
        self._refusals = Refusals(self.counts)
        self._topics: Mapping[str, TopicState] = {}
        self._back_off = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
        self._steady_at = float("-inf")
        self._stall = (0.0, 0)
        self._reported = (clock.elapsed(), Counter[str]())
        self._restore_at: float | None = None
        self._assignment = AssignmentState(rules.topic, rules.inputs)

    def run(self, stop: Callable[[], bool]) -> None:
        """Works until ``stop`` says so; what was decided by then is committed. Raises UserError only."""
        while not stop():
            self._heartbeat()
            self.step()
        if self._assignment.live:
            self._guarded(self._commit_last)

    @property
    def live(self) -> bool:
        """Whether partitions are assigned, their fold is complete and decisions are made."""
        return self._assignment.live

    @property
    def pending(self) -> int:
        """Triggers that were read and whose transition is not committed yet."""
        return self._assignment.pending

    @property
    def open_entities(self) -> int:
        """Entities in the partitions held of which another event is to come."""
        return sum(partition.open_entities for partition in list(self._assignment.partitions.values()))

    @property
    def next(self) -> Mapping[TopicPartition, int]:
        """The next offset to be read of every partition held."""
        return self._assignment.next

    def step(self) -> None:
        """One turn of the loop; blocks for ``POLL_SECONDS`` while there is nothing to do."""
        self._guarded(self._step)

    def _step(self) -> None:
        batch = self._log.poll(POLL_RECORDS, self._poll_timeout())
        unix, elapsed = self._clock.unix(), self._clock.elapsed()
        if self._restore_at is None and (batch.reassigned or self._topics_changed()):
            self._restore_later(elapsed + self._pause(elapsed, first=0.0))
        if self._restore_at is not None:
            if elapsed >= self._restore_at:
                self._restore(elapsed)
            return
        self._report(elapsed)
        self.counts["read"] += len(batch.records)
        for record in batch.records:
            self._read(record, unix, elapsed)
        for end in batch.ends:
            if end.partition in self._assignment.partitions:
                self._assignment.partitions[end.partition].read_end(end.topic, end.offset)
        if not self._assignment.live:
            self._assignment.trim()
        if self._project(elapsed) and self._is_live(unix, elapsed):
            self._admit(unix, elapsed)
            self._conclude()
            self._resolve_doubts(elapsed)
            self._apply_backpressure()
            self._transact(unix, elapsed)

    def _read(self, record: Record, unix: float, elapsed: float) -> None:
        partition = self._assignment.partitions.get(record.partition)
        if partition is None:
            return
        if record.topic != self._output_topic:
            partition.read_input(record, unix, elapsed)
        else:
            entity = partition.read_output(record, unix, elapsed)
            if entity is not None and self._projection is not None:
                self._assignment.unprojected.append((record, entity))

    def _transact(self, unix: float, elapsed: float) -> None:
        """Publishes what is due and commits it, at most once per ``transaction_interval`` unless there is more.

        The events travel while further ones are decided, and the next batch is read while the broker commits."""
        assignment = self._assignment
        since = elapsed - assignment.committed_at
        if since < self._limits.transaction_interval and not assignment.more_is_due:
            return
        is_open = False
        for event in self._decide(unix, elapsed):
            if not is_open:
                self._log.begin()
                is_open = True
            self._log.publish(event)
        if is_open:
            self._commit(assignment.offsets())
        elif since >= self._limits.offsets_interval:
            self._commit_offsets()

    def _decide(self, unix: float, elapsed: float) -> Iterator[Outgoing]:
        """Decides what is due, ``_max_events`` at most, one event at a time."""
        assignment, room = self._assignment, self._max_events
        while room and (due := assignment.due(elapsed)) is not None:
            partition, trigger = due
            event = partition.fire(trigger, unix, elapsed)
            if event is not None:
                room -= 1
                yield event
        assignment.more_is_due = len(assignment.arrived) >= room
        opened, assignment.arrived = assignment.arrived[:room], assignment.arrived[room:]
        self.counts["opened"] += len(opened)
        for number, first in opened:
            yield assignment.partitions[number].open_entity(first, unix, elapsed)

    def _admit(self, unix: float, elapsed: float) -> None:
        """Takes in who arrived, while the broker commits what was decided before."""
        assignment = self._assignment
        room = self._max_events - len(assignment.arrived)
        if self._source is not None and room > 0:
            total = assignment.topics[self._output_topic].partitions
            assignment.arrived += self._source.arrivals(
                elapsed, timestamp(unix), sorted(assignment.partitions), total, room
            )

    def _commit_offsets(self) -> None:
        """Commits the offsets without an event, where they have moved."""
        offsets = self._assignment.offsets()
        if offsets != self._assignment.committed:
            self._log.begin()
            self._commit(offsets)

    def _commit(self, offsets: Offsets) -> None:
        """Ends the transaction with the offset of every partition held, so that a member that lost one is fenced (an
        empty list of offsets would pass)."""
        self._log.commit(offsets)
        self._assignment.committed_at = self._clock.elapsed()

    def _conclude(self) -> None:
        """Waits for the transaction that is under way. Meanwhile a batch was read and folded; should it fail, that
        is forgotten too."""
        done = self._log.await_commit()
        if done is None:
            return
        self._assignment.committed = done.offsets
        self.counts["transactions"] += 1
        self.counts["published"] += done.events
        self.transaction_seconds += done.seconds
        if done.events:
            self._max_events = min(self._limits.transaction_events, self._max_events + SMALLEST_TRANSACTION)
            took = round(done.seconds * 1000, 1)
            log.info("committed", events=done.events, milliseconds=took, pending=self._assignment.pending)

    def _commit_last(self) -> None:
        self._conclude()
        self._commit_offsets()
        self._conclude()

    # ---- restore --------------------------------------------------------------------------------------------

    def _restore_later(self, at: float) -> None:
        self._assignment = AssignmentState(self._rules.topic, self._rules.inputs)
        self._restore_at = at

    def _restore(self, elapsed: float) -> None:
        assignment = restore(self._log, self._rules, self._limits, self._accept_loss, self._refusals)
        if assignment is None:
            self._restore_at = elapsed + self._pause(elapsed)
            return
        if assignment.topics != self._topics:
            self._topics = assignment.topics
            self._refusals.forget()
        self._assignment, self._restore_at = assignment, None
        self._stall = (elapsed, assignment.missing)

    def _is_live(self, unix: float, elapsed: float) -> bool:
        """Step 5 of the restore: nothing is decided before every output partition has been read up to its restore
        target."""
        assignment = self._assignment
        if assignment.live or not assignment.partitions:
            return assignment.live
        if assignment.missing:
            self._look_after_stall(elapsed)
            return False
        for partition in assignment.partitions.values():
            partition.go_live(unix, elapsed)
        self._log.resume(assignment.input_partitions)
        assignment.live = True
        log.info("caught up", partitions=sorted(assignment.partitions), open_entities=self.open_entities)
        return True

    def _look_after_stall(self, elapsed: float) -> None:
        assignment, (since, missing) = self._assignment, self._stall
        if assignment.missing != missing:
            self._stall = (elapsed, assignment.missing)
        elif elapsed - since >= HANGING_SECONDS and assignment.hanging and not assignment.hanging_aborted:
            assignment.hanging_aborted = True
            self._log.abort_hanging(assignment.hanging)
        elif elapsed - since >= STALLED_SECONDS:
            self._stall = (elapsed, missing)
            log.error(
                "no progress in reading the output topic: is a transaction of somebody else open in it?",
                topic=self._rules.topic,
                records_missing=missing,
                partitions=[number for number, one in assignment.partitions.items() if one.missing],
            )

    def _topics_changed(self) -> bool:
        """Whether a topic is another one, or has another number of partitions, than when the assignment began."""
        topics = self._log.topics()
        return any(topics.get(topic) != state for topic, state in self._assignment.topics.items())

    def _guarded(self, action: Callable[..., None], *arguments: object) -> None:
        """Turns every failure that ends by itself into a restore, after a pause that grows."""
        try:
            action(*arguments)
        except (TransactionFailed, Unavailable) as error:
            elapsed = self._clock.elapsed()
            if isinstance(error, TransactionTimedOut) and self._max_events > SMALLEST_TRANSACTION:
                # The next one is smaller, so the reason does not repeat itself.
                self._max_events, pause = max(SMALLEST_TRANSACTION, self._max_events // 2), FIRST_PAUSE
            else:
                pause = self._pause(elapsed)
            self.counts["restores"] += 1
            self._restore_later(elapsed + pause)
            log.warning("restoring from the log", reason=str(error), seconds=round(pause, 1))

    def _pause(self, elapsed: float, first: float = FIRST_PAUSE) -> float:
        """The pause before the next restore: ``first`` after a steady time, and longer each time that another one
        follows, whatever the reason. That some transaction was committed in between tells nothing of the reason."""
        if elapsed > self._steady_at:
            self._back_off.reset()
        is_first = self._back_off.is_fresh
        longer = self._back_off()
        pause = first if is_first else longer
        self._steady_at = elapsed + pause + STEADY_SECONDS
        return pause

    # ---- what waits ----------------------------------------------------------------------------------------

    def _project(self, elapsed: float) -> bool:
        """Brings the projection up to date before any offset says so; False while its database is away. The
        partitions are paused then, and polling goes on, so that the group keeps this member."""
        assignment = self._assignment
        if self._projection is None or not assignment.unprojected:
            return True
        if assignment.project_at is not None and elapsed < assignment.project_at:
            return False
        try:
            self._projection.apply(assignment.unprojected)
        except Unavailable as error:
            if assignment.project_at is None:
                self._log.pause(assignment.output_partitions)
                self._log.pause(assignment.input_partitions)
            pause = assignment.project_back_off()
            assignment.project_at = elapsed + pause
            log.warning("waiting for the database", reason=str(error), seconds=pause)
            return False
        assignment.unprojected = []
        assignment.project_back_off.reset()
        if assignment.project_at is not None:
            assignment.project_at = None
            self._log.resume(assignment.output_partitions)
            if assignment.live and not assignment.backpressure:
                self._log.resume(assignment.input_partitions)
        return True

    def _resolve_doubts(self, elapsed: float) -> None:
        """A trigger whose entity may lie in output records that are not read yet waits for the output partition's end
        as of now; one question to the broker settles all that are in doubt."""
        assignment = self._assignment
        for number, (end, triggers) in list(assignment.doubted.items()):
            if assignment.partitions[number].next >= end:
                del assignment.doubted[number]
                assignment.partitions[number].resolve(triggers, elapsed)
        in_doubt = [
            number for number, one in assignment.partitions.items() if one.doubts and number not in assignment.doubted
        ]
        if in_doubt:
            ends = self._log.high_watermarks([TopicPartition(self._rules.topic, number) for number in in_doubt])
            for topic_partition, end in ends.items():
                partition = assignment.partitions[topic_partition.partition]
                assignment.doubted[topic_partition.partition], partition.doubts = (end, partition.doubts), []

    def _apply_backpressure(self) -> None:
        """Pauses the inputs, never the output topic, above ``pending_limit``; goes on below half of it."""
        assignment = self._assignment
        if not assignment.backpressure and assignment.pending > self._limits.pending_limit:
            self._log.pause(assignment.input_partitions)
            assignment.backpressure = True
            log.warning("inputs paused", pending=assignment.pending)
        elif assignment.backpressure and assignment.pending < self._limits.pending_limit / 2:
            self._log.resume(assignment.input_partitions)
            assignment.backpressure = False
            log.info("inputs resumed", pending=assignment.pending)

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
        log.info("at work", **rates, pending=self._assignment.pending)

    def _poll_timeout(self) -> float:
        """How long the next poll may wait: until something is due, and never long."""
        elapsed = self._clock.elapsed()
        wake = elapsed + POLL_SECONDS
        if self._assignment.live:
            earliest = self._assignment.committed_at + self._limits.transaction_interval
            arrival = self._source.next_arrival() if self._source is not None else None
            arrived = elapsed if self._assignment.arrived else None
            for due in (self._assignment.next_due, arrival, arrived):
                if due is not None:
                    wake = min(wake, max(due, earliest))
        return max(0.0, wake - elapsed)
