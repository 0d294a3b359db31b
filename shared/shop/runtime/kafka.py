"""The real log: confluent-kafka's consumer, transactional producer and admin client behind the port of ``log.py``.

Membership is classic, eager ``range`` (which co-partitions the topics) and static: without ``group.instance.id`` an
empty generation would be accepted unfenced. The producer's ``transactional.id`` carries the same slot name.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import confluent_kafka as ck
import structlog
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from shop.runtime.errors import TransactionFailed, TransactionTimedOut, Unavailable, UserError
from shop.runtime.log import Batch, Committed, End, Outgoing, Record, TopicPartition, TopicState

REPLY_SECONDS = 10.0
SESSION_SECONDS = 10
TRANSACTION_SECONDS = 10
DESCRIBE_SECONDS = 2.0
RETRIES = 5
CALL_SECONDS = REPLY_SECONDS + 2.0
"""Longer than the time-out that the call itself is given."""

log = structlog.get_logger()


@dataclass(frozen=True)
class KafkaOptions:
    """How a service reaches Kafka, and as whom. ``namespace`` stands before every name that the broker sees and
    none that the runtime sees; ``client`` goes to every librdkafka client unchanged."""

    bootstrap: str
    namespace: str
    group: str
    instance: str
    own_topic: str
    input_topics: tuple[str, ...]
    client: Mapping[str, str]
    logger: logging.Logger

    @property
    def topics(self) -> list[str]:
        """The broker's names of all topics, the own one first."""
        return [self.namespace + topic for topic in (self.own_topic, *self.input_topics)]

    @property
    def slot(self) -> str:
        return f"{self.namespace}{self.group}-{self.instance}"

    def common(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": self.slot,
            "logger": self.logger,
            "topic.metadata.refresh.interval.ms": 5000,
            "reconnect.backoff.max.ms": 2000,
            **self.client,
        }

    def consumer(self) -> dict[str, Any]:
        return self.common() | {
            "group.id": self.namespace + self.group,
            "group.instance.id": self.slot,
            "group.protocol": "classic",
            "partition.assignment.strategy": "range",
            "session.timeout.ms": SESSION_SECONDS * 1000,
            "heartbeat.interval.ms": 1000,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # An offset that retention removed must be loud, not a jump.
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 500,
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": 8192,
        }

    def producer(self) -> dict[str, Any]:
        return self.common() | {
            "transactional.id": self.slot,
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
            "delivery.report.only.error": True,
        }


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
        self._consumer_of = consumer
        self._producer_of = producer
        self._admin = AdminClient(options.common())
        self._consumer: ck.Consumer | None = None
        self._producer: ck.Producer | None = None
        self._producer_failed = False
        self._ready = False
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._reassigned = False
        self._topics: dict[str, TopicState] = {}
        self._description: dict[str, Future[Any]] = {}
        self._described_at = float("-inf")

    # ---- start and end -------------------------------------------------------------------------------------

    def open(self, stop: Callable[[], bool]) -> None:
        """Waits for the broker and joins the group. Raises UserError when a topic is missing or the topics have
        different numbers of partitions: no waiting would mend that."""
        pause = 0.5
        while not stop():
            try:
                self._topics = self._described(
                    self._admin.describe_topics(
                        ck.TopicCollection(self._options.topics), request_timeout=REPLY_SECONDS
                    )
                )
                break
            except Unavailable as error:
                log.warning("waiting for Kafka", address=self._options.bootstrap, reason=str(error), seconds=pause)
                time.sleep(pause)
                pause = min(pause * 2, 10.0)
        else:
            return
        missing = [topic for topic in self._options.topics if self._ours(topic) not in self._topics]
        if missing:
            raise UserError(
                f"Kafka at {self._options.bootstrap} has no topic {', '.join(missing)}: run ./init-kafka.sh"
            )
        counts = {topic: state.partitions for topic, state in self._topics.items()}
        if len(set(counts.values())) > 1:
            raise UserError(f"the topics must have equally many partitions, but have {counts}: add the missing ones")
        self._join()

    def close(self) -> None:
        """Leaves without waiting for a broker that is away; the slot keeps its partitions until the session ends."""
        if self._consumer is not None:
            self._consumer.close()

    def _join(self) -> None:
        consumer = self._consumer_of(self._options.consumer())
        consumer.subscribe(
            self._options.topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )
        self._consumer = consumer

    def _on_assign(self, consumer: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        self._assignment = frozenset(map(self._place, partitions))
        self._reassigned = True
        # Nothing is read before the reload says from where.
        consumer.assign([])

    def _on_revoke(self, consumer: ck.Consumer, _partitions: list[ck.TopicPartition]) -> None:
        self._assignment = frozenset()
        self._reassigned = True
        consumer.unassign()

    def _ours(self, topic: str) -> str:
        return topic[len(self._options.namespace) :]

    def _place(self, theirs: ck.TopicPartition) -> TopicPartition:
        return TopicPartition(self._ours(theirs.topic), theirs.partition)

    def _theirs(self, place: TopicPartition, offset: int = -1001, metadata: str = "") -> ck.TopicPartition:
        return ck.TopicPartition(self._options.namespace + place.topic, place.partition, offset, metadata)

    # ---- reading -------------------------------------------------------------------------------------------

    def poll(self, most: int, patience: float) -> Batch:
        consumer = self._reader()
        first = consumer.poll(patience)
        messages = [] if first is None else [first, *consumer.consume(most - 1, 0)]
        records: list[Record] = []
        ends: list[End] = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(
                    Record(
                        self._ours(message.topic()),  # type: ignore[arg-type]  # None only in a message made by hand
                        message.partition(),  # type: ignore[arg-type]
                        message.offset(),  # type: ignore[arg-type]
                        message.timestamp()[1] / 1000,
                        message.key(),
                        message.value(),
                    )
                )
            elif error.code() == ck.KafkaError._PARTITION_EOF:
                ends.append(End(self._ours(message.topic()), message.partition(), message.offset()))  # type: ignore[arg-type]
            else:
                self._consumer_failed(error)
        reassigned, self._reassigned = self._reassigned, False
        return Batch(records, ends, reassigned)

    def _consumer_failed(self, error: ck.KafkaError) -> None:
        if error.fatal():
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                consumer.close()
            self._assignment = frozenset()
            raise Unavailable(f"the consumer failed, another instance may use the slot {self._options.slot}: {error}")
        if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
            raise Unavailable(f"an offset is not in the topic any more: {error.str()}")
        log.warning("consumer error", error=error.str())

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assignment

    def start(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._reader().assign([self._theirs(place, offset) for place, offset in offsets.items()])

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._reader().pause([self._theirs(place) for place in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._reader().resume([self._theirs(place) for place in partitions])

    def _reader(self) -> ck.Consumer:
        if self._consumer is None:
            self._join()
        assert self._consumer is not None
        return self._consumer

    # ---- asking --------------------------------------------------------------------------------------------

    def topics(self) -> Mapping[str, TopicState]:
        now = time.monotonic()
        if self._description and all(future.done() for future in self._description.values()):
            try:
                self._topics = self._described(self._description)
            except Unavailable as error:
                log.warning("waiting for Kafka", address=self._options.bootstrap, reason=str(error))
            self._description = {}
        if not self._description and now - self._described_at > DESCRIBE_SECONDS:
            self._described_at = now
            self._description = self._admin.describe_topics(
                ck.TopicCollection(self._options.topics), request_timeout=REPLY_SECONDS
            )
        return self._topics

    def _described(self, futures: Mapping[str, "Future[Any]"]) -> dict[str, TopicState]:
        states: dict[str, TopicState] = {}
        for topic, future in futures.items():
            try:
                description = future.result(REPLY_SECONDS * 2)
            except ck.KafkaException as failure:
                if failure.args[0].code() == ck.KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise self._away(failure.args[0].str()) from None
            except TimeoutError:
                raise self._away("no answer in time") from None
            states[self._ours(topic)] = TopicState(str(description.topic_id), len(description.partitions))
        return states

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        try:
            answers = self._reader().committed(
                [self._theirs(place) for place in partitions], timeout=2 * TRANSACTION_SECONDS
            )
        except ck.KafkaException as failure:
            raise self._away(f"stored offsets: {failure.args[0].str()}") from None
        for one in answers:
            if one.error is not None:
                raise self._away(f"stored offset of {one.topic}/{one.partition}: {one.error.str()}")
        return {self._place(one): Committed(one.offset, one.metadata or "") for one in answers if one.offset >= 0}

    def beginnings(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def _offsets(self, partitions: Iterable[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        asked = {self._theirs(place): spec for place in partitions}
        if not asked:
            return {}
        try:
            answers = self._admin.list_offsets(
                asked, isolation_level=ck.IsolationLevel.READ_UNCOMMITTED, request_timeout=REPLY_SECONDS
            )
            return {self._place(place): future.result(REPLY_SECONDS * 2).offset for place, future in answers.items()}
        except ck.KafkaException as failure:
            raise self._away(f"ends of the partitions: {failure.args[0].str()}") from None
        except TimeoutError:
            raise self._away("ends of the partitions: no answer in time") from None

    def _away(self, reason: str) -> Unavailable:
        return Unavailable(f"Kafka at {self._options.bootstrap}: {reason}")

    # ---- writing -------------------------------------------------------------------------------------------

    def renew(self) -> None:
        if self._producer_failed and self._producer is not None:
            # It may still be in a call that was left behind; what it holds must not be sent any more.
            self._producer.purge()
            self._producer = None
        if self._producer is None:
            self._producer, self._ready = self._producer_of(self._options.producer()), False
            self._producer_failed = False
        if self._ready:
            return
        try:
            self._producer.init_transactions(REPLY_SECONDS)
        except ck.KafkaException as failure:
            error = failure.args[0]
            self._producer_failed = not error.retriable()
            raise self._away(f"transactional producer {self._options.slot}: {error.str()}") from None
        self._ready = True

    def transact(self, messages: Sequence[Outgoing], offsets: Mapping[TopicPartition, Committed]) -> None:
        assert self._producer is not None, "renew comes first"
        assert self._consumer is not None, "open comes first"
        began = time.monotonic()
        stored = [self._theirs(place, one.offset, one.topic_id) for place, one in offsets.items()]
        producer, consumer = self._producer, self._consumer
        try:
            producer.begin_transaction()
            self._produce(producer, messages)
            _retried(
                lambda: producer.send_offsets_to_transaction(
                    stored, consumer.consumer_group_metadata(), REPLY_SECONDS
                )
            )
            _retried(lambda: producer.commit_transaction(REPLY_SECONDS))
        except ck.KafkaException as failure:
            self._producer_failed = True
            error = failure.args[0]
            overrun = time.monotonic() - began >= TRANSACTION_SECONDS
            if overrun or error.code() == ck.KafkaError._TIMED_OUT:
                raise TransactionTimedOut(error.str()) from None
            raise TransactionFailed(error.str()) from None
        except TransactionFailed:
            self._producer_failed = True
            raise

    def _produce(self, producer: ck.Producer, messages: Sequence[Outgoing]) -> None:
        topic = self._options.topics[0]
        for partition, key, value in messages:
            while True:
                try:
                    producer.produce(topic, value, key, partition)
                    break
                except BufferError:
                    producer.poll(0.05)
        if producer.flush(REPLY_SECONDS):
            raise TransactionTimedOut("the broker does not take the messages in time")


def _retried(call: Callable[[], None]) -> None:
    """Makes the same call again after an error that librdkafka calls retriable: its transactional calls resume."""
    for attempt in range(RETRIES):
        try:
            _bounded(call)
            return
        except ck.KafkaException as failure:
            if not failure.args[0].retriable() or attempt == RETRIES - 1:
                raise


def _bounded(call: Callable[[], None]) -> None:
    """Makes a client call in a thread of its own and stops waiting for it after ``CALL_SECONDS``.

    librdkafka does not keep the time-out of send_offsets_to_transaction while the group's coordinator is away
    (confluentinc/librdkafka#5456). A call that is left behind does no harm: the next producer fences its producer
    before anything is read again.
    """
    outcome: Future[None] = Future()

    def work() -> None:
        try:
            call()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=work, name="transaction", daemon=True).start()
    try:
        outcome.result(CALL_SECONDS)
    except TimeoutError:
        raise TransactionTimedOut("Kafka does not answer in time") from None
