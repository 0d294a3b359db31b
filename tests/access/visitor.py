"""A client of the guarded broker that tries things, and says how the broker answers."""

import logging
import threading
import time
import uuid
from typing import Any

import confluent_kafka as ck

from local.kafka import Kafka
from shop.edges.settings import Settings

REPLY = 20.0
REFUSED = {
    ck.KafkaError.TOPIC_AUTHORIZATION_FAILED,
    ck.KafkaError.GROUP_AUTHORIZATION_FAILED,
    ck.KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
ANONYMOUS = "ANONYMOUS"


class Visitor:
    """Every method says whether the broker allows it. Raises what else goes wrong."""

    def __init__(self, kafka: Kafka, user: str) -> None:
        silent = logging.getLogger("tests.access.librdkafka")
        silent.disabled = True
        login = Settings(kafka_user="" if user == ANONYMOUS else user, kafka_password=f"{user}pw").kafka_login
        self.config: dict[str, Any] = {
            "bootstrap.servers": kafka.bootstrap if user == ANONYMOUS else kafka.login,
            "logger": silent,
            **login,
        }
        self._readable = "order" if user == "fulfillment" else "checkout"

    def reads(self, topic: str) -> bool:
        """Whether it may read the topic, without joining a group."""
        consumer = self._consumer(f"nobody-{uuid.uuid4()}")
        try:
            # Who may not read does not even learn what there is to read.
            known = consumer.list_topics(topic, REPLY).topics[topic].error
            if known is not None:
                return _allowed(known)
            consumer.assign([ck.TopicPartition(topic, 0, 0)])
            # The client looks for the coordinator of the group that it has to name, and does not need it.
            return _allowed(_first_answer(consumer, but=ck.KafkaError.GROUP_AUTHORIZATION_FAILED))
        finally:
            consumer.close()

    def writes(self, topic: str) -> bool:
        """Whether it may write a message to the topic."""
        producer = ck.Producer(self.config | {"message.timeout.ms": int(REPLY * 1000)})
        answers: list[ck.KafkaError | None] = []
        producer.produce(topic, b"a test", b"a test", 0, on_delivery=lambda error, _: answers.append(error))
        producer.flush(REPLY)
        return _allowed(answers[0])

    def joins(self, group: str) -> bool:
        """Whether it may be a member of the group."""
        consumer, joined = self._consumer(group), threading.Event()
        try:
            consumer.subscribe([self._readable], on_assign=lambda *_: joined.set())
            return _allowed(_first_answer(consumer, or_else=joined))
        finally:
            consumer.close()

    def uses_transactional_id(self, transactional_id: str) -> bool:
        """Whether it may be the producer of this transactional id."""
        producer = ck.Producer(self.config | {"transactional.id": transactional_id, "transaction.timeout.ms": 10_000})
        try:
            producer.init_transactions(REPLY)
        except ck.KafkaException as failure:
            return _allowed(failure.args[0])
        return True

    def _consumer(self, group: str) -> ck.Consumer:
        return ck.Consumer(
            self.config | {"group.id": group, "enable.partition.eof": True, "enable.auto.commit": False}
        )


def _allowed(error: ck.KafkaError | None) -> bool:
    if error is None or error.code() == ck.KafkaError._PARTITION_EOF:
        return True
    if error.code() in REFUSED:
        return False
    raise ck.KafkaException(error)


def _first_answer(
    consumer: ck.Consumer, *, but: int | None = None, or_else: threading.Event | None = None
) -> ck.KafkaError | None:
    """What is wrong with the first message that comes, if anything; or nothing is, when the event happens."""
    deadline = time.monotonic() + REPLY
    while time.monotonic() < deadline:
        message = consumer.poll(0.05)
        error = None if message is None else message.error()
        if (or_else is not None and or_else.is_set()) or (message is not None and error is None):
            return None
        if error is not None and error.code() != but:
            return error
    raise TimeoutError("the broker says nothing")
