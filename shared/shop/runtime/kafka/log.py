"""The real log: confluent-kafka's consumer, transactional producer and admin client behind the port of ``log.py``."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import confluent_kafka as ck
import structlog

from shop.runtime.errors import Unavailable, UserError
from shop.runtime.hanging import HangingTransaction, may_be_aborted
from shop.runtime.kafka.failover import JOIN_SECONDS, is_whole, leave, leave_behind, recreated
from shop.runtime.kafka.options import MASKED, KafkaOptions
from shop.runtime.kafka.producer import TransactionalProducer
from shop.runtime.kafka.topics import Topics
from shop.runtime.kafka.uncommitted import Uncommitted
from shop.runtime.log import (
    Batch,
    Committed,
    CommittedTransaction,
    End,
    Offsets,
    Outgoing,
    Record,
    TopicPartition,
    TopicState,
)

PENDING_SECONDS = 6.0
"""How long to wait for committed offsets: a longer wait means a pending transaction, or a consumer of no use."""
FENCED_AGAIN_SECONDS = 60.0
"""A slot that is taken from an instance twice within this time has another process in it."""

Answer = TypeVar("Answer")

log = structlog.get_logger()


class KafkaLog:
    """One member of the service's group. ``consumer`` and ``producer`` are the client classes: a test may pass
    its own subclasses."""

    def __init__(
        self,
        options: KafkaOptions,
        consumer: Callable[[dict[str, Any]], ck.Consumer] = ck.Consumer,
        producer: Callable[[dict[str, Any]], ck.Producer] = ck.Producer,
    ) -> None:
        self._options = options
        self._ours = {topic: options.ours(topic) for topic in options.topics}
        self._consumer_of = consumer
        self._consumer: ck.Consumer | None = None
        self._producer = TransactionalProducer(options, producer)
        self._topics = Topics(options)
        self._uncommitted = Uncommitted(options, consumer)
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._reassigned = False
        self._fenced_at = float("-inf")
        self._topic_ids: dict[str, str] = {}
        self._hanging: list[int] = []
        """Output partitions that may hold a hanging transaction of this slot."""
        self._joining_since: float | None = None

    # ---- membership ----------------------------------------------------------------------------------------

    def open(self, stop: Callable[[], bool]) -> None:
        """Waits for the broker, or for ``stop``, and joins the group. Raises UserError when a topic is missing or
        the topics have different numbers of partitions."""
        self._topics.wait_until_ready(stop)
        if not stop():
            self._member()

    def close(self) -> None:
        """Leaves the group, without waiting for a broker that is away: others have the partitions at once."""
        if self._consumer is not None:
            leave(self._consumer)
            self._consumer.close()

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    def _member(self) -> ck.Consumer:
        """The consumer; a new one, which joins the group, where there is none."""
        if self._consumer is None:
            self._consumer = self._consumer_of(self._options.consumer())
            self._joining_since = time.monotonic()
            self._consumer.subscribe(
                self._options.topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
        return self._consumer

    def _on_assign(self, consumer: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        self._assignment = frozenset(map(self._options.topic_partition, partitions))
        self._reassigned = True
        whole = is_whole(partitions, self._options.topics)
        self._joining_since = None if whole else (self._joining_since or time.monotonic())
        # Nothing is read before the restore says from where.
        consumer.assign([])

    def _on_revoke(self, consumer: ck.Consumer, _partitions: list[ck.TopicPartition]) -> None:
        self._assignment = frozenset()
        self._reassigned = True
        self._joining_since = time.monotonic()
        _unpause(consumer)
        consumer.unassign()

    def _rejoin(self, reason: str) -> None:
        """Leaves a consumer behind that does not answer; the next call makes another one."""
        log.warning("rejoining the group", reason=reason, instance=self._options.instance)
        if self._consumer is not None:
            leave_behind(self._consumer)
        self._consumer, self._assignment, self._reassigned = None, frozenset(), True

    # ---- reading -------------------------------------------------------------------------------------------

    def poll(self, max_records: int, timeout: float) -> Batch:
        records: list[Record] = []
        ends: list[End] = []
        for message in self._received(max_records, timeout):
            error = message.error()
            if error is None:
                records.append(
                    Record(
                        self._ours[message.topic()],  # type: ignore[index]  # None only where made by hand
                        message.partition(),  # type: ignore[arg-type]
                        message.offset(),  # type: ignore[arg-type]
                        message.timestamp()[1] / 1000,
                        message.key(),
                        message.value(),
                    )
                )
            elif error.code() == ck.KafkaError._PARTITION_EOF:
                topic = self._ours[message.topic()]  # type: ignore[index]
                ends.append(End(topic, message.partition(), message.offset()))  # type: ignore[arg-type]
            else:
                self._failed(error)
        reassigned, self._reassigned = self._reassigned, False
        return Batch(records, ends, reassigned)

    def _received(self, max_records: int, timeout: float) -> list[ck.Message]:
        if self._joining_since is not None and time.monotonic() - self._joining_since > JOIN_SECONDS:
            if self._consumer is not None and self._assignment:
                leave(self._consumer)
            self._rejoin(f"no partitions were given, or not of all topics, for {JOIN_SECONDS:.0f} s")
        # consume() would wait its whole time-out, so the first message is polled for.
        first = self._asked(lambda member: member.poll(timeout))
        return [] if first is None else [first, *self._asked(lambda member: member.consume(max_records - 1, 0))]

    def _asked(self, call: Callable[[ck.Consumer], Answer]) -> Answer:
        """What the consumer answers. Any of its calls may be the one that tells of a fatal error."""
        try:
            return call(self._member())
        except ck.KafkaException as failure:
            self._failed(failure.args[0])
            raise Unavailable(f"Kafka at {self._options.bootstrap}: {failure.args[0].str()}") from None
        except MASKED as masked:
            raise self._fenced(str(masked)) from None

    def _failed(self, error: ck.KafkaError) -> None:
        if error.fatal() or error.code() == ck.KafkaError._FATAL:
            raise self._fenced(error.str())
        if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
            raise Unavailable(f"an offset is not in the topic any more: {error.str()}")
        log.warning("consumer error", error=error.str())
        if error.code() == ck.KafkaError._TIMED_OUT:
            self._rejoin("the coordinator of the group does not answer")

    def _fenced(self, reason: str) -> Exception:
        """A consumer with a fatal error is of no more use: it was fenced. The first time that may be our own late
        request under a former member id, so a new one joins; the second time it is another process."""
        consumer, self._consumer = self._consumer, None
        self._assignment = frozenset()
        if consumer is not None:
            consumer.close()
        now = time.monotonic()
        if now - self._fenced_at < FENCED_AGAIN_SECONDS:
            instance = self._options.instance
            return UserError(f"another process runs as INSTANCE={instance}: give each its own ({reason})")
        self._fenced_at = now
        return Unavailable(f"the consumer failed: {reason}")

    def start(self, offsets: Mapping[TopicPartition, int]) -> None:
        theirs = [self._options.theirs(topic_partition, offset) for topic_partition, offset in offsets.items()]
        self._asked(_unpause)
        self._asked(lambda member: member.assign(theirs))

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        theirs = list(map(self._options.theirs, partitions))
        self._asked(lambda member: member.pause(theirs))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        theirs = list(map(self._options.theirs, partitions))
        self._asked(lambda member: member.resume(theirs))

    # ---- asking --------------------------------------------------------------------------------------------

    def topics(self, fresh: bool = False) -> Mapping[str, TopicState]:
        states = self._topics.states(fresh)
        if fresh:
            self._expect(states)
        return states

    def _expect(self, states: Mapping[str, TopicState]) -> None:
        """Leaves consumer and producer behind where a topic is another one than they know."""
        ids = {topic: state.topic_id for topic, state in states.items()}
        if recreated(self._topic_ids, ids):
            self._producer.give_up()
            if self._consumer is not None:
                leave(self._consumer)
            self._rejoin("a topic was recreated")
        self._topic_ids |= ids

    def beginnings(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._topics.beginnings(partitions)

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._topics.high_watermarks(partitions)

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        theirs, began = list(map(self._options.theirs, partitions)), time.monotonic()
        try:
            answers = self._asked(lambda member: member.committed(theirs, timeout=PENDING_SECONDS))
        except Unavailable:
            if time.monotonic() - began >= PENDING_SECONDS and self._uncommitted.tells(theirs):
                # Some transaction is still to change them. Where that is one of this slot which is over, and never
                # will, to abort it is safe, because its offsets are not stored: the next init_transactions does. To
                # one of somebody else that does nothing.
                self._hanging = [one.partition for one in theirs if one.topic == self._options.topics[0]]
            raise
        for one in answers:
            if one.error is not None:
                at = f"{one.topic}/{one.partition}"
                raise Unavailable(f"Kafka at {self._options.bootstrap}: committed offset of {at}: {one.error.str()}")
        return {
            self._options.topic_partition(one): Committed(one.offset, one.metadata or "")
            for one in answers
            if one.offset >= 0
        }

    # ---- writing -------------------------------------------------------------------------------------------

    def init_transactions(self) -> None:
        self._producer.init_transactions()
        if self._hanging:
            member = self._asked(lambda consumer: consumer.consumer_group_metadata())
            self._producer.abort_hanging(self._hanging, member)
            self._hanging = []

    def abort_hanging(self, hanging: Mapping[int, HangingTransaction]) -> None:
        abortable = []
        for number, (start, end, published) in hanging.items():
            topic_partition = TopicPartition(self._options.output_topic, number)
            if may_be_aborted(published, self._uncommitted.values(topic_partition, start, end)):
                abortable.append(number)
            else:
                log.error(
                    "a hanging transaction cannot be aborted: its offsets may be committed",
                    **topic_partition._asdict(),
                    offset=start,
                )
        if abortable:
            member = self._asked(lambda consumer: consumer.consumer_group_metadata())
            self._producer.abort_hanging(abortable, member)

    def transact(self, messages: Iterable[Outgoing], offsets: Callable[[], Offsets]) -> None:
        # Not when the records are flushed: a member that has lost its partitions by then and has rejoined would store
        # their offsets under its new generation. And the answer would wait for a poll under way.
        member = self._asked(lambda consumer: consumer.consumer_group_metadata())
        self._producer.transact(messages, offsets, member)

    def await_commit(self) -> CommittedTransaction | None:
        return self._producer.await_commit()


def _unpause(consumer: ck.Consumer) -> None:
    """librdkafka keeps a partition paused across assignments: one that came back would never be read again."""
    consumer.resume(consumer.assignment())
