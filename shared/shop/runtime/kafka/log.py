"""The real log: a group member, a transactional producer and an admin client behind the port of
``runtime/log.py``."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import confluent_kafka as ck
import structlog

from shop.runtime.errors import Unavailable
from shop.runtime.hanging import HangingTransaction, may_be_aborted
from shop.runtime.kafka.admin import Admin, TopicWatch
from shop.runtime.kafka.member import GroupMember
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.kafka.producer import TransactionalProducer
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

log = structlog.get_logger()


class KafkaLog:
    """The log of one publishing instance. ``consumer`` and ``producer`` are the client classes: a test may pass its
    own subclasses."""

    def __init__(
        self,
        options: KafkaOptions,
        consumer: Callable[[dict[str, Any]], ck.Consumer] = ck.Consumer,
        producer: Callable[[dict[str, Any]], ck.Producer] = ck.Producer,
    ) -> None:
        self._options = options
        self._ours = {options.namespace + topic: topic for topic in options.topics}
        self._member = GroupMember(options, consumer)
        self._producer = TransactionalProducer(options, producer)
        self._admin = Admin(options)
        self._watch = TopicWatch(self._admin)
        self._uncommitted = Uncommitted(options, consumer)
        self._hanging: list[int] = []
        """Output partitions that may hold a hanging transaction of this slot."""

    def open(self, stop: Callable[[], bool]) -> None:
        """Waits for the broker, or for ``stop``, and joins the group. Raises UserError when a topic is missing or
        the topics have different numbers of partitions."""
        self._admin.wait_until_ready(stop, writes=self._options.output_topic)
        if not stop():
            self._member.join()

    def close(self) -> None:
        """Leaves the group, without waiting for a broker that is away: others have the partitions at once."""
        self._member.leave()

    # ---- reading -------------------------------------------------------------------------------------------

    def assignment(self) -> frozenset[TopicPartition]:
        return self._member.assignment

    def poll(self, max_records: int, timeout: float) -> Batch:
        records: list[Record] = []
        ends: list[End] = []
        for message in self._member.receive(max_records, timeout):
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
                self._member.failed(error)
        return Batch(records, ends, self._member.was_reassigned())

    def start(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._member.assign(offsets)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._member.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._member.resume(partitions)

    # ---- asking --------------------------------------------------------------------------------------------

    def topics(self, fresh: bool = False) -> Mapping[str, TopicState]:
        if not fresh:
            return self._watch.latest()
        states = self._watch.now()
        if self._member.expect({topic: state.topic_id for topic, state in states.items()}):
            # It knows the former topic, too.
            self._producer.give_up()
        return states

    def beginnings(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._admin.beginnings(partitions)

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._admin.high_watermarks(partitions)

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        asked, began = list(partitions), time.monotonic()
        try:
            return self._member.committed(asked, PENDING_SECONDS)
        except Unavailable:
            if time.monotonic() - began >= PENDING_SECONDS and self._uncommitted.tells(asked):
                # Some transaction is still to change them. Where that is one of this slot which is over, and never
                # will, to abort it is safe, because its offsets are not committed: the next init_transactions does.
                # To one of somebody else that does nothing.
                self._hanging = [at.partition for at in asked if at.topic == self._options.output_topic]
            raise

    # ---- writing -------------------------------------------------------------------------------------------

    def init_transactions(self) -> None:
        self._producer.init_transactions()
        if self._hanging:
            self._producer.abort_hanging(self._hanging, self._member.metadata())
            self._hanging = []

    def abort_hanging(self, hanging: Mapping[int, HangingTransaction]) -> None:
        abortable = []
        for number, (start, end, published) in hanging.items():
            at = TopicPartition(self._options.output_topic, number)
            if may_be_aborted(published, self._uncommitted.values(at, start, end)):
                abortable.append(number)
            else:
                reason = "a hanging transaction cannot be aborted: its offsets may be committed"
                log.error(reason, **at._asdict(), offset=start)
        if abortable:
            self._producer.abort_hanging(abortable, self._member.metadata())

    def begin(self) -> None:
        # The metadata of now, not of when the records are flushed: a member that has lost its partitions by then and
        # has rejoined would commit their offsets under its new generation. And the answer would wait for a poll under
        # way.
        self._producer.begin(self._member.metadata())

    def publish(self, message: Outgoing) -> None:
        self._producer.publish(message)

    def commit(self, offsets: Offsets) -> None:
        self._producer.commit(offsets)

    def await_commit(self) -> CommittedTransaction | None:
        return self._producer.await_commit()
