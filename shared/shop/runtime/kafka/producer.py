"""The transactional producer of one slot: one transaction at a time, and a new producer where one failed."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import confluent_kafka as ck
import structlog

from shop.runtime.errors import TransactionFailed, TransactionTimedOut, Unavailable
from shop.runtime.kafka.failover import REPLY_SECONDS
from shop.runtime.kafka.options import MASKED, TRANSACTION_SECONDS, KafkaOptions
from shop.runtime.log import CommittedTransaction, Offsets, Outgoing, TopicPartition

RETRIES = 5
GRACE_SECONDS = 2.0
"""How much longer than the broker keeps a transaction open its outcome is waited for."""

Result = TypeVar("Result")

log = structlog.get_logger()


class TransactionalProducer:
    """Publishes to the output topic and stores the group's offsets, both or neither (KIP-98, KIP-447)."""

    def __init__(self, options: KafkaOptions, producer: Callable[[dict[str, Any]], ck.Producer]) -> None:
        self._options = options
        self._topic = options.broker_topics[0]
        self._producer_of = producer
        self._producer: ck.Producer | None = None
        self._failed = False
        self._ready = False
        self._under_way: Future[CommittedTransaction] | None = None
        self._began = 0.0
        self._member: object = None
        self._published = 0

    def init_transactions(self) -> None:
        """See ``Log.init_transactions``. Blocks for as long as ``await_commit`` and ``REPLY_SECONDS`` more; raises
        Unavailable."""
        try:
            self.await_commit()
        except TransactionFailed as failure:
            log.warning("transaction failed", reason=str(failure))
        if self._failed and self._producer is not None:
            # It may still be in a call that was left behind; what it holds must not be sent any more.
            with suppress(ck.KafkaException, *MASKED):
                self._producer.purge()
            self._producer = None
        try:
            if self._producer is None:
                self._producer, self._ready = self._producer_of(self._options.producer()), False
                self._failed = False
            if not self._ready:
                self._producer.init_transactions(REPLY_SECONDS)
        except (ck.KafkaException, *MASKED) as failure:
            # Also where it may be asked again: a client that has forgotten every broker never gets an answer.
            self._failed = True
            raise self._unavailable(failure) from None
        self._ready = True

    def give_up(self) -> None:
        """The next ``init_transactions`` makes a new producer."""
        self._failed = True

    def abort_hanging(self, partitions: Iterable[int], member: object) -> None:
        """Aborts the hanging transaction of this slot in these partitions of the output topic and of the group's
        offsets: the end marker of the next transaction ends it, too, and that one is aborted.

        Blocks for three times ``REPLY_SECONDS`` at most; raises Unavailable.
        """
        assert self._producer is not None, "init_transactions comes first"
        producer, own = self._producer, self._options.output_topic
        anything = self._options.theirs(TopicPartition(own, 0), 0)

        def abort() -> None:
            producer.begin_transaction()
            for partition in partitions:
                producer.produce(self._topic, b"", partition=partition)
            producer.flush(REPLY_SECONDS)
            # Who is not in the group yet is refused, and the end comes all the same.
            with suppress(ck.KafkaException):
                producer.send_offsets_to_transaction([anything], member, REPLY_SECONDS)
            producer.abort_transaction(REPLY_SECONDS)

        self._failed = True
        try:
            _in_a_thread(abort).result(3 * REPLY_SECONDS)
        except (ck.KafkaException, TimeoutError, *MASKED) as failure:
            raise self._unavailable(failure) from None
        self._failed = False
        log.warning("a hanging transaction of this slot is aborted", slot=self._options.slot)

    def _unavailable(self, failure: Exception) -> Unavailable:
        reason = failure.args[0].str() if isinstance(failure, ck.KafkaException) else failure
        return Unavailable(
            f"Kafka at {self._options.bootstrap}: transactional producer {self._options.slot}: {reason}"
        )

    def begin(self, member: object) -> None:
        """See ``Log.begin``; ``member`` is the consumer's group metadata of the moment of the decision."""
        assert self._producer is not None, "init_transactions comes first"
        assert self._under_way is None, "await_commit comes first"
        self._failed, self._began, self._member, self._published = True, time.monotonic(), member, 0
        with _translated(self._began):
            self._producer.begin_transaction()

    def publish(self, message: Outgoing) -> None:
        """See ``Log.publish``. Waits while the client's queue is full."""
        assert self._producer is not None, "begin comes first"
        partition, key, value = message
        try:
            while True:
                try:
                    self._producer.produce(self._topic, value, key, partition)
                    break
                except BufferError:
                    self._producer.poll(0.05)
        except (ck.KafkaException, *MASKED) as failure:
            raise _translation(failure, self._began) from None
        self._published += 1

    def commit(self, offsets: Offsets) -> None:
        """See ``Log.commit``."""
        assert self._producer is not None, "begin comes first"
        producer, began, member, events = self._producer, self._began, self._member, self._published
        theirs = [self._options.theirs(at, one.offset, one.metadata) for at, one in offsets.items()]

        def finish() -> CommittedTransaction:
            if producer.flush(REPLY_SECONDS):
                raise TransactionTimedOut("the broker does not take the messages in time")
            _retried(lambda: producer.send_offsets_to_transaction(theirs, member, REPLY_SECONDS))
            _retried(lambda: producer.commit_transaction(REPLY_SECONDS))
            return CommittedTransaction(events, offsets, time.monotonic() - began)

        self._under_way = _in_a_thread(finish)

    def await_commit(self) -> CommittedTransaction | None:
        """See ``Log.await_commit``. Blocks until the broker would have given the transaction up.

        librdkafka does not keep the time-out of send_offsets_to_transaction while the group's coordinator is away
        (confluentinc/librdkafka#5456). A call that is left behind does no harm: the next producer fences its producer
        before anything is read again.
        """
        under_way, self._under_way = self._under_way, None
        if under_way is None:
            return None
        give_up_at = self._began + TRANSACTION_SECONDS + GRACE_SECONDS
        with _translated(self._began):
            try:
                done = under_way.result(max(0.0, give_up_at - time.monotonic()))
            except TimeoutError:
                raise TransactionTimedOut("Kafka does not answer in time") from None
        self._failed = False
        return done


def _retried(call: Callable[[], None]) -> None:
    """Makes the same call again after an error that librdkafka calls retriable: its transactional calls resume."""
    for attempt in range(RETRIES):
        try:
            call()
            return
        except ck.KafkaException as failure:
            if not failure.args[0].retriable() or attempt == RETRIES - 1:
                raise


def _in_a_thread(work: Callable[[], Result]) -> Future[Result]:
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="transaction", daemon=True).start()
    return outcome


@contextmanager
def _translated(began: float) -> Iterator[None]:
    try:
        yield
    except (ck.KafkaException, *MASKED) as failure:
        raise _translation(failure, began) from None


def _translation(failure: Exception, began: float) -> TransactionFailed:
    """The port's error for one of the client. The broker ends a transaction that is open for too long, which comes
    back as an error of another kind."""
    if not isinstance(failure, ck.KafkaException):
        return TransactionFailed(f"the producer failed ({failure})")
    error = failure.args[0]
    if error.code() == ck.KafkaError._TIMED_OUT or time.monotonic() - began >= TRANSACTION_SECONDS:
        return TransactionTimedOut(error.str())
    return TransactionFailed(error.str())
