"""The thread that reads: polls, validates, formats, and hands batches to the loader.

There is one way in, ``_begin``: after an assignment, a collision, an error of the database or the broker, or a topic
recreated, everything read so far is dropped and reading starts again at what the database says.
"""

import time
from collections.abc import Callable, Iterable
from itertools import groupby

import confluent_kafka as ck
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics_service.ingest.batch import Batch
from analytics_service.ingest.decoder import Decoder
from analytics_service.ingest.loader import Loader
from analytics_service.ingest.reading import Reading, begin
from analytics_service.ingest.store import Collision
from analytics_service.kafka import Broker, TopicWatch
from analytics_service.settings import AnalyticsSettings
from analytics_service.streams import Streams, TopicPartition
from shop.edges.database import explain
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import JOIN_SECONDS, is_whole, leave, leave_behind, recreated

BATCH_BYTES = 4 * 1024 * 1024
CHUNK = 1000
IDLE_SECONDS = 0.5
COMMIT_SECONDS = 1.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
FINISH_SECONDS = 3.0
WARN_SECONDS = 10.0
FENCED_AGAIN_SECONDS = 60.0

log = structlog.get_logger()


class Ingest:
    """Stores every message of the topics exactly once, until it is told to stop."""

    def __init__(
        self,
        settings: AnalyticsSettings,
        consumer: Callable[[], ck.Consumer],
        broker: Broker,
        engine: Engine,
        loader: Loader,
    ) -> None:
        self._settings = settings
        self._streams = Streams(settings.namespace)
        self._new_consumer = consumer
        self._consumer = consumer()
        self._broker = broker
        self._engine = engine
        self._loader = loader
        self._watch = TopicWatch(broker)
        self._generation = 0
        self._assigned: list[TopicPartition] = []
        self._reading: Reading | None = None
        self._batch: Batch | None = None
        self._begin_at = 0.0
        self._pause = SHORTEST_PAUSE
        self._look_at = 0.0
        self._committed: dict[TopicPartition, int] = {}
        self._commit_at = 0.0
        self._warned_at = float("-inf")
        self._replaced_at = float("-inf")
        self._joining_since: float | None = None
        self._topic_ids: dict[str, str] = {}
        """The topics that the consumer knows."""
        self._decoder = Decoder()
        self._turned_at = float("-inf")

    @property
    def stored(self) -> dict[TopicPartition, int] | None:
        """Of each partition held, the offset below which all is stored; None before the database has said so."""
        reading = self._reading
        return None if reading is None else {at: progress.done for at, progress in reading.progress.items()}

    @property
    def silent_for(self) -> float:
        """Seconds since the thread that reads was last seen at work."""
        return time.monotonic() - self._turned_at

    def run(self, stop: Callable[[], bool]) -> None:
        """Blocks until ``stop``. Raises UserError for what only a person can mend."""
        self._subscribe()
        while not stop():
            self._turned_at = time.monotonic()
            if self._joining_since is not None and self._turned_at - self._joining_since > JOIN_SECONDS:
                if self._assigned:
                    leave(self._consumer)
                self._rejoin(f"no partitions were given, or not of all topics, for {JOIN_SECONDS:.0f} s")
            self._notice_failures()
            if self._reading is None and self._assigned and time.monotonic() >= self._begin_at:
                self._try_to_begin()
            self._read()
            self._hand_over_when_due(stop)
            self._commit_offsets()
        self._finish()

    # ---- membership ----------------------------------------------------------------------------------------

    def _subscribe(self) -> None:
        self._joining_since = time.monotonic()
        self._consumer.subscribe(
            self._streams.topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def _on_assign(self, consumer: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        self._assigned = [TopicPartition(one.topic, one.partition) for one in partitions]
        whole = is_whole(partitions, self._streams.topics)
        self._joining_since = None if whole else (self._joining_since or time.monotonic())
        self._drop()
        # Nothing is read before the database says from where.
        consumer.assign([])

    def _on_revoke(self, consumer: ck.Consumer, _partitions: list[ck.TopicPartition]) -> None:
        self._assigned = []
        self._joining_since = time.monotonic()
        self._drop()
        _resume(consumer)
        consumer.unassign()

    def _drop(self) -> None:
        self._reading = self._batch = None
        self._generation += 1
        self._loader.discard(self._generation)
        self._begin_at = 0.0
        self._committed = {}

    def _start_again(self, reason: str, pause: float = 0.0) -> None:
        log.warning("restoring from the database", reason=reason, seconds=pause)
        self._drop()
        _resume(self._consumer)
        self._consumer.assign([])
        self._begin_at = time.monotonic() + pause

    # ---- failures ------------------------------------------------------------------------------------------

    def _notice_failures(self) -> None:
        failure = self._loader.failure
        # After the look at the failure: what was stored before it counts as before it.
        self._note_stored()
        if failure is not None:
            if isinstance(failure, DBAPIError):
                failure = explain(failure, self._settings)
            if not isinstance(failure, Collision | Unavailable):
                raise failure
            self._start_again(str(failure), self._longer_pause(at_once=isinstance(failure, Collision)))
        reading = self._reading
        if reading is not None and self._watch.changed(reading.topic_ids):
            self._start_again("a topic was recreated")
        elif reading is not None and reading.cut_off and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LONGEST_PAUSE
            if self._is_whole_again(reading):
                self._start_again("a topic that was cut off is long enough again")

    def _is_whole_again(self, reading: Reading) -> bool:
        try:
            held = self._broker.ranges(reading.cut_off)
        except Unavailable as failure:
            log.warning("waiting for Kafka", reason=str(failure))
            return False
        return any(
            held[topic_partition].end >= reading.progress[topic_partition].read for topic_partition in reading.cut_off
        )

    def _longer_pause(self, at_once: bool = False) -> float:
        """The pause after one more failure since a batch was stored; none after the first one, where ``at_once``."""
        first = self._pause == SHORTEST_PAUSE
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return 0.0 if at_once and first else pause

    def _failed(self, error: ck.KafkaError) -> None:
        if error.code() == ck.KafkaError._FATAL:
            self._replace_consumer(error)
        if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
            self._start_again(f"an offset is not in the topic: {error.str()}")
        elif time.monotonic() - self._warned_at >= WARN_SECONDS:
            self._warned_at = time.monotonic()
            log.warning("waiting for Kafka", address=self._settings.kafka_bootstrap, reason=error.str())

    def _replace_consumer(self, error: ck.KafkaError) -> None:
        """A consumer with a fatal error is of no more use. Seen: after the broker was away a late commit of offsets,
        still under the former member id, fences the client itself. So only the second time is it another process."""
        now = time.monotonic()
        if now - self._replaced_at < FENCED_AGAIN_SECONDS:
            raise UserError(f"another process runs as INSTANCE={self._settings.instance} ({error.str()})")
        self._replaced_at = now
        self._rejoin(error.str())

    def _rejoin(self, reason: str) -> None:
        log.warning("rejoining the group", reason=reason, instance=self._settings.instance)
        leave_behind(self._consumer)
        self._assigned, self._topic_ids = [], {}
        self._drop()
        self._consumer = self._new_consumer()
        self._subscribe()

    # ---- the one way in ------------------------------------------------------------------------------------

    def _try_to_begin(self) -> None:
        try:
            self._begin()
        except (Unavailable, DBAPIError) as failure:
            reason = explain(failure, self._settings) if isinstance(failure, DBAPIError) else failure
            if isinstance(reason, UserError):
                raise reason from None
            pause = self._longer_pause()
            log.warning("waiting", reason=str(reason), seconds=pause)
            self._begin_at = time.monotonic() + pause

    def _begin(self) -> None:
        if not self._loader.idle(IDLE_SECONDS):
            return  # what is being stored must be counted: the next turn tries again
        self._loader.forget()
        reading = begin(
            self._generation,
            self._assigned,
            broker=self._broker,
            engine=self._engine,
            streams=self._streams,
            accept_loss=self._settings.accept_loss,
        )
        if recreated(self._topic_ids, reading.topic_ids):
            leave(self._consumer)
            self._rejoin("a topic was recreated")
            return
        self._topic_ids = reading.topic_ids
        self._consumer.assign(
            [
                ck.TopicPartition(*topic_partition, progress.read)
                for topic_partition, progress in reading.progress.items()
                if topic_partition not in reading.cut_off
            ]
        )
        self._reading = reading
        log.info("reading", partitions=len(reading.progress), behind=reading.behind)

    # ---- reading -------------------------------------------------------------------------------------------

    def _read(self) -> None:
        batch = self._batch
        if batch is None:
            # consume() would wait its whole time-out, so the first message is polled for.
            first = self._consumer.poll(IDLE_SECONDS)
            messages = [] if first is None else [first]
        else:
            left = batch.opened_at + self._settings.batch_seconds - time.monotonic()
            # One that is old already waits for the database, which is asked again after the same time.
            timeout = left if left > 0 else self._settings.batch_seconds
            room = max(1, self._settings.batch_messages - len(batch))
            messages = self._consumer.consume(min(CHUNK, room), timeout)
        self._receive(messages)

    def _receive(self, messages: Iterable[ck.Message]) -> None:
        """Takes in what was read; it comes in runs of one partition each."""
        for (topic, number, is_event), run in groupby(messages, _origin):
            if is_event:
                self._note(run)
            else:
                self._take(TopicPartition(topic, number), run)

    def _note(self, events: Iterable[ck.Message]) -> None:
        """Takes in what is no message of the topic: errors, and that a partition is read up to its end."""
        for event in events:
            error = event.error()
            assert error is not None
            if error.code() != ck.KafkaError._PARTITION_EOF:
                self._failed(error)
            elif self._reading is not None:
                topic_partition = TopicPartition(event.topic(), event.partition())  # type: ignore[arg-type]  # set on this event
                self._reading.progress[topic_partition].end = event.offset()  # type: ignore[assignment]  # likewise

    def _take(self, topic_partition: TopicPartition, run: Iterable[ck.Message]) -> None:
        reading = self._reading
        if reading is None:
            return  # read before a rebalance; it will be read again
        progress = reading.progress[topic_partition]
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(reading.generation, reading.tables, reading.topic_ids, time.monotonic())
        batch.predecessors.setdefault(progress.partition, progress.last)
        for message in run:
            offset: int = message.offset()  # type: ignore[assignment]  # None only in a message made by hand
            if offset < progress.read:
                self._start_again(
                    f"{topic_partition.topic}/{topic_partition.partition} gave offset {offset} before {progress.read}"
                )
                return
            progress.last, progress.read = offset, offset + 1
            self._decoder.add(message, offset, progress.partition, batch)
        batch.next_offsets[topic_partition] = progress.read

    # ---- handing over --------------------------------------------------------------------------------------

    def _hand_over_when_due(self, stop: Callable[[], bool]) -> None:
        batch = self._batch
        if batch is None or not self._is_due(batch):
            return
        self._batch = None
        paused = False
        while not self._loader.put(batch, IDLE_SECONDS):
            if batch.generation != self._generation or self._loader.failure is not None or stop():
                return
            if not paused:
                log.info("the database is slow: reading pauses")
                self._consumer.pause(self._consumer.assignment())
                paused = True
            # Keeps us in the group. Nothing is expected while paused, and what comes all the same is not lost.
            message = self._consumer.poll(0)
            if message is not None:
                self._receive([message])
        if paused and batch.generation == self._generation:
            _resume(self._consumer)

    def _is_due(self, batch: Batch) -> bool:
        """Whether it is full; or old, and no other one waits for the database: the further behind this is, the more
        goes into one transaction."""
        if len(batch) >= self._settings.batch_messages or batch.size >= BATCH_BYTES:
            return True
        return time.monotonic() - batch.opened_at >= self._settings.batch_seconds and not self._loader.has_queued

    # ---- offsets in Kafka, for tools that show the lag ------------------------------------------------------

    def _note_stored(self) -> None:
        reading = self._reading
        while (batch := self._loader.stored()) is not None:
            self._pause = SHORTEST_PAUSE
            if reading is not None and batch.generation == reading.generation:
                for topic_partition, offset in batch.next_offsets.items():
                    reading.progress[topic_partition].stored = offset

    def _commit_offsets(self) -> None:
        reading = self._reading
        if reading is None or time.monotonic() < self._commit_at:
            return
        self._commit_at = time.monotonic() + COMMIT_SECONDS
        done = {topic_partition: progress.done for topic_partition, progress in reading.progress.items()}
        news = {
            topic_partition: offset
            for topic_partition, offset in done.items()
            if self._committed.get(topic_partition) != offset
        }
        if news:
            self._committed = done
            self._consumer.commit(
                offsets=[ck.TopicPartition(*topic_partition, offset) for topic_partition, offset in news.items()],
                asynchronous=True,
            )

    # ---- the end -------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._batch is not None and self._loader.put(self._batch, 1.0):
            self._batch = None
        if not self._loader.finish(FINISH_SECONDS):
            log.warning("the database did not answer in time; what was read will be read again")
        # After what was read is stored, so that nobody stores it as well. No close(): with the broker away it takes
        # longer than a service may take to end.
        leave(self._consumer)


def _resume(consumer: ck.Consumer) -> None:
    """Of use before an assignment ends, too: a partition that is paused stays so when it is assigned again."""
    consumer.resume(consumer.assignment())


def _origin(message: ck.Message) -> tuple[str, int, bool]:
    """The partition, and whether this is an event of the client and no message of the topic."""
    return message.topic(), message.partition(), message.error() is not None  # type: ignore[return-value]
