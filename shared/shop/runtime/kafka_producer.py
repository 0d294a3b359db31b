"""The transactional producer of one slot: one transaction at a time, and a new producer where one failed."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

import confluent_kafka as ck

from shop.runtime.errors import TransactionFailed, TransactionTimedOut, Unavailable
from shop.runtime.kafka_options import MASKED, REPLY_SECONDS, TRANSACTION_SECONDS, KafkaOptions
from shop.runtime.log import Offsets, Outgoing

RETRIES = 5
CALL_SECONDS = REPLY_SECONDS + 2.0
"""Longer than the time-out that the call itself is given."""


class TransactionalProducer:
    """Publishes to the own topic and stores the group's offsets, both or neither (KIP-98, KIP-447)."""

    def __init__(self, options: KafkaOptions, producer: Callable[[dict[str, Any]], ck.Producer]) -> None:
        self._options = options
        self._producer_of = producer
        self._producer: ck.Producer | None = None
        self._failed = False
        self._ready = False

    def renew(self) -> None:
        """See ``Log.renew``. Blocks for ``REPLY_SECONDS`` at most; raises Unavailable."""
        if self._failed and self._producer is not None:
            # It may still be in a call that was left behind; what it holds must not be sent any more.
            self._producer.purge()
            self._producer = None
        if self._producer is None:
            self._producer, self._ready = self._producer_of(self._options.producer()), False
            self._failed = False
        if self._ready:
            return
        try:
            self._producer.init_transactions(REPLY_SECONDS)
        except ck.KafkaException as failure:
            error = failure.args[0]
            self._failed = not error.retriable()
            slot, bootstrap = self._options.slot, self._options.bootstrap
            raise Unavailable(f"Kafka at {bootstrap}: transactional producer {slot}: {error.str()}") from None
        self._ready = True

    def transact(
        self,
        messages: Iterable[Outgoing],
        offsets: Callable[[], Offsets],
        membership: Callable[[], object],
    ) -> tuple[int, Offsets]:
        """See ``Log.transact``; ``membership`` gives the consumer's group metadata of this moment."""
        assert self._producer is not None, "renew comes first"
        began = time.monotonic()
        producer, succeeded = self._producer, False
        try:
            producer.begin_transaction()
            produced = self._produce(producer, messages)
            decided = offsets()
            stored = [self._options.theirs(place, one.offset, one.topic_id) for place, one in decided.items()]
            _retried(lambda: producer.send_offsets_to_transaction(stored, membership(), REPLY_SECONDS))
            _retried(lambda: producer.commit_transaction(REPLY_SECONDS))
            succeeded = True
            return produced, decided
        except ck.KafkaException as failure:
            error = failure.args[0]
            overrun = time.monotonic() - began >= TRANSACTION_SECONDS
            if overrun or error.code() == ck.KafkaError._TIMED_OUT:
                raise TransactionTimedOut(error.str()) from None
            raise TransactionFailed(error.str()) from None
        finally:
            self._failed = not succeeded

    def _produce(self, producer: ck.Producer, messages: Iterable[Outgoing]) -> int:
        topic, produced = self._options.topics[0], 0
        for partition, key, value in messages:
            produced += 1
            while True:
                try:
                    producer.produce(topic, value, key, partition)
                    break
                except BufferError:
                    _served(lambda: producer.poll(0.05))
        if _served(lambda: producer.flush(REPLY_SECONDS)):
            raise TransactionTimedOut("the broker does not take the messages in time")
        return produced


def _served(call: Callable[[], int]) -> int:
    """Makes a client call that runs callbacks, among them that of a fatal error."""
    try:
        return call()
    except MASKED as masked:
        raise TransactionFailed(f"the producer failed ({masked})") from None


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
