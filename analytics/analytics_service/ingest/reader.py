"""The thread that reads: polls, validates, formats, and hands batches to the loader.

There is one way in, ``_restore``: after an assignment, a collision, an error of the database or the broker, or a
recreated topic, everything read so far is dropped and reading goes on from what the database says.
"""

import time
from collections.abc import Callable, Iterable
from itertools import groupby

import confluent_kafka as ck
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics_service.ingest.assignment import AssignmentState, restore
from analytics_service.ingest.batch import Batch
from analytics_service.ingest.decoder import Decoder
from analytics_service.ingest.loader import Loader
from analytics_service.ingest.store import Collision
from analytics_service.settings import AnalyticsSettings
from shop.contract.lifecycle import TOPICS
from shop.edges.database import explain
from shop.runtime.backoff import BackOff
from shop.runtime.errors import Unavailable
from shop.runtime.kafka.admin import Admin, TopicWatch
from shop.runtime.kafka.member import GroupMember
from shop.runtime.log import TopicPartition

BATCH_BYTES = 4 * 1024 * 1024
CHUNK = 1000
IDLE_SECONDS = 0.5
COMMIT_SECONDS = 1.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
FINISH_SECONDS = 3.0

log = structlog.get_logger()


class Ingest:
    """Stores every message of the topics exactly once, until it is to stop. ``heartbeat`` is called in each
    turn."""

    def __init__(
        self,
        settings: AnalyticsSettings,
        member: GroupMember,
        admin: Admin,
        engine: Engine,
        loader: Loader,
        heartbeat: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._ours = {settings.namespace + topic: topic for topic in TOPICS}
        self._member = member
        self._admin = admin
        self._watch = TopicWatch(admin)
        self._engine = engine
        self._loader = loader
        self._heartbeat = heartbeat
        self._generation = 0
        self._assignment: AssignmentState | None = None
        self._batch: Batch | None = None
        self._restore_at = 0.0
        self._back_off = BackOff(SHORTEST_PAUSE, LONGEST_PAUSE)
        self._look_at = 0.0
        self._committed: dict[TopicPartition, int] = {}
        self._commit_at = 0.0
        self._decoder = Decoder()
        self._turned_at = float("-inf")

    @property
    def stored(self) -> dict[TopicPartition, int] | None:
        """Of each partition held, the offset below which all is stored; None before the database has said so."""
        assignment = self._assignment
        return None if assignment is None else {at: progress.done for at, progress in assignment.progress.items()}

    @property
    def silent_for(self) -> float:
        """Seconds since the thread that reads was last seen at work."""
        return time.monotonic() - self._turned_at

    def run(self, stop: Callable[[], bool]) -> None:
        """Blocks until ``stop``. Raises UserError for what only a person can mend."""
        while not stop():
            self._turned_at = time.monotonic()
            self._heartbeat()
            try:
                self._turn(stop)
            except (Unavailable, Collision, DBAPIError) as failure:
                self._recover(failure)
        self._finish()

    def _turn(self, stop: Callable[[], bool]) -> None:
        self._notice_failures()
        if self._assignment is None and self._member.assignment and time.monotonic() >= self._restore_at:
            self._restore()
        self._read()
        self._hand_over_when_due(stop)
        self._commit_offsets()

    # ---- the one way in ------------------------------------------------------------------------------------

    def _drop(self) -> None:
        self._assignment = self._batch = None
        self._generation += 1
        self._loader.discard(self._generation)
        self._restore_at = 0.0
        self._committed = {}

    def _restore_later(self, reason: str, pause: float = 0.0) -> None:
        event = "waiting" if self._assignment is None else "restoring from the database"
        log.warning(event, reason=reason, seconds=pause)
        self._drop()
        self._restore_at = time.monotonic() + pause
        # Nothing is read before the database says from where.
        self._member.assign({})

    def _restore(self) -> None:
        if not self._loader.idle(IDLE_SECONDS):
            return  # what is being stored must be counted: the next turn tries again
        self._loader.forget()
        topic_ids = {topic: state.topic_id for topic, state in self._watch.now().items()}
        assignment = restore(
            self._generation,
            self._member.assignment,
            topic_ids,
            admin=self._admin,
            engine=self._engine,
            accept_loss=self._settings.accept_loss,
        )
        if self._member.expect(topic_ids):
            return
        self._member.assign({at: assignment.progress[at].read for at in assignment.readable})
        self._assignment = assignment
        log.info("reading", partitions=len(assignment.progress), behind=assignment.behind)

    # ---- failures ------------------------------------------------------------------------------------------

    def _notice_failures(self) -> None:
        failure = self._loader.failure
        # After the look at the failure: what was stored before it counts as before it.
        self._note_stored()
        if failure is not None:
            raise failure
        assignment = self._assignment
        if assignment is None:
            return
        now = self._watch.latest()
        if any(assignment.topic_ids.get(topic) != state.topic_id for topic, state in now.items()):
            self._restore_later("a topic was recreated")
        elif assignment.cut_off and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LONGEST_PAUSE
            if self._is_whole_again(assignment):
                self._restore_later("a topic that was cut off is long enough again")

    def _is_whole_again(self, assignment: AssignmentState) -> bool:
        try:
            ends = self._admin.high_watermarks(assignment.cut_off)
        except Unavailable as failure:
            log.warning("waiting for Kafka", reason=str(failure))
            return False
        return any(end >= assignment.progress[at].read for at, end in ends.items())

    def _recover(self, failure: Exception) -> None:
        """Restores after a pause that grows from failure to failure, until a batch is stored. Raises what no waiting
        would mend."""
        reason = explain(failure, self._settings) if isinstance(failure, DBAPIError) else failure
        if not isinstance(reason, Collision | Unavailable):
            raise reason from None
        is_first = self._back_off.is_fresh
        pause = self._back_off()
        try:
            self._restore_later(str(reason), 0.0 if isinstance(reason, Collision) and is_first else pause)
        except Unavailable as further:
            log.warning("waiting for Kafka", reason=str(further))

    # ---- reading -------------------------------------------------------------------------------------------

    def _read(self) -> None:
        batch = self._batch
        if batch is None:
            messages = self._member.receive(1, IDLE_SECONDS)
        else:
            left = batch.opened_at + self._settings.batch_seconds - time.monotonic()
            # One that is old already waits for the database, which is asked again after the same time.
            timeout = left if left > 0 else self._settings.batch_seconds
            room = max(1, self._settings.batch_messages - len(batch))
            messages = self._member.collect(min(CHUNK, room), timeout)
        self._receive(messages)

    def _receive(self, messages: Iterable[ck.Message]) -> None:
        """Takes in what was read; it comes in runs of one partition each."""
        if self._member.was_reassigned():
            self._drop()
            return
        for (topic, number, is_event), run in groupby(messages, _origin):
            if is_event:
                self._note(run)
            else:
                self._take(TopicPartition(self._ours[topic], number), run)

    def _note(self, events: Iterable[ck.Message]) -> None:
        """Takes in what is no message of the topic: errors, and that a partition is read up to its end."""
        for event in events:
            error = event.error()
            assert error is not None
            if error.code() != ck.KafkaError._PARTITION_EOF:
                self._member.failed(error)
            elif self._assignment is not None:
                topic_partition = TopicPartition(self._ours[event.topic()], event.partition())  # type: ignore[index, arg-type]  # set on this event
                self._assignment.progress[topic_partition].end = event.offset()  # type: ignore[assignment]  # likewise

    def _take(self, topic_partition: TopicPartition, run: Iterable[ck.Message]) -> None:
        assignment = self._assignment
        if assignment is None:
            return  # read before a rebalance; it will be read again
        progress = assignment.progress[topic_partition]
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(
                assignment.generation, assignment.tables, assignment.topic_ids, time.monotonic()
            )
        batch.predecessors.setdefault(progress.partition, progress.last)
        for message in run:
            offset: int = message.offset()  # type: ignore[assignment]  # None only in a message made by hand
            if offset < progress.read:
                self._restore_later(
                    f"{topic_partition.topic}/{topic_partition.partition} gave offset {offset} before {progress.read}"
                )
                return
            progress.last, progress.read = offset, offset + 1
            self._decoder.add(message, offset, progress.partition, batch)
        batch.next_offsets[topic_partition] = progress.read

    # ---- handing over --------------------------------------------------------------------------------------

    def _hand_over_when_due(self, stop: Callable[[], bool]) -> None:
        batch, assignment = self._batch, self._assignment
        if batch is None or assignment is None or not self._is_due(batch):
            return
        self._batch = None
        paused = False
        while not self._loader.put(batch, IDLE_SECONDS):
            if batch.generation != self._generation or self._loader.failure is not None or stop():
                return
            if not paused:
                log.info("the database is slow: reading pauses")
                self._member.pause(assignment.readable)
                paused = True
            self._heartbeat()
            # Keeps us in the group. Nothing is expected while paused, and what comes all the same is not lost.
            self._receive(self._member.receive(1, 0))
        if paused and batch.generation == self._generation:
            self._member.resume(assignment.readable)

    def _is_due(self, batch: Batch) -> bool:
        """Whether it is full; or old, and no other one waits for the database: the further behind this is, the more
        goes into one transaction."""
        if len(batch) >= self._settings.batch_messages or batch.size >= BATCH_BYTES:
            return True
        return time.monotonic() - batch.opened_at >= self._settings.batch_seconds and not self._loader.has_queued

    # ---- offsets in Kafka, for tools that show the lag ------------------------------------------------------

    def _note_stored(self) -> None:
        assignment = self._assignment
        while (batch := self._loader.stored()) is not None:
            self._back_off.reset()
            if assignment is not None and batch.generation == assignment.generation:
                for topic_partition, offset in batch.next_offsets.items():
                    assignment.progress[topic_partition].stored = offset

    def _commit_offsets(self) -> None:
        assignment = self._assignment
        if assignment is None or time.monotonic() < self._commit_at:
            return
        self._commit_at = time.monotonic() + COMMIT_SECONDS
        done = {topic_partition: progress.done for topic_partition, progress in assignment.progress.items()}
        news = {
            topic_partition: offset
            for topic_partition, offset in done.items()
            if self._committed.get(topic_partition) != offset
        }
        if news:
            self._committed = done
            self._member.commit(news)

    # ---- the end -------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._batch is not None and self._loader.put(self._batch, 1.0):
            self._batch = None
        if not self._loader.finish(FINISH_SECONDS):
            log.warning("the database did not answer in time; what was read will be read again")
        # After what was read is stored, so that nobody stores it as well. No close(): with the broker away it takes
        # longer than a service may take to end.
        self._member.leave()


def _origin(message: ck.Message) -> tuple[str, int, bool]:
    """The partition, and whether this is an event of the client and no message of the topic."""
    return message.topic(), message.partition(), message.error() is not None  # type: ignore[return-value]
