"""The consumer's configuration, and what the ingest asks of the broker besides messages."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

import confluent_kafka as ck
import structlog
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from analytics_service.streams import Streams, TopicPartition
from shop.edges.settings import Settings
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import FAILOVER, SPREAD_SECONDS, checked_offset, keep_informed, leave_behind
from shop.runtime.kafka.login import Login
from shop.runtime.kafka.topic_state import topic_state

REPLY_SECONDS = 3.0
SESSION_SECONDS = 10
DESCRIBE_SECONDS = 2.0

log = structlog.get_logger()

_AS_KAFKA_PRINTS_IT = str.maketrans("+/", "-_")

Ids = Mapping[str, str]
"""Topic ids by topic; a topic that does not exist is not in it."""


class OffsetRange(NamedTuple):
    """What a partition holds: offsets from ``first`` up to, but not with, ``end`` (the high watermark)."""

    first: int
    end: int


def client(settings: Settings, logger: logging.Logger) -> dict[str, Any]:
    """What all our clients have in common."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "client.id": f"{settings.namespace}analytics-{settings.instance}",
        "logger": logger,
        **FAILOVER,
        **settings.kafka_login,
    }


def consumer(settings: Settings, logger: logging.Logger) -> dict[str, Any]:
    """The consumer's configuration: where to start is always said by the database, never by Kafka."""
    return client(settings, logger) | {
        "group.id": Streams(settings.namespace).group,
        "group.instance.id": f"{settings.namespace}analytics-{settings.instance}",
        "group.protocol": "classic",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": SESSION_SECONDS * 1000,
        "heartbeat.interval.ms": 1000,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # Tells the offset behind a trailing transaction marker, so that the lag shown at rest is 0.
        "enable.partition.eof": True,
        # An offset that retention removed must be loud, not a jump.
        "auto.offset.reset": "error",
        # A full queue is looked at again after this; the default, 1 s, would halve the rate of catching up.
        "fetch.queue.backoff.ms": 10,
        "queued.min.messages": 5000,
        "queued.max.messages.kbytes": 4096,
    }


class Broker:
    """Asks the broker what it has. Safe to use from several threads.

    Every call blocks for a second more than ``REPLY_SECONDS`` at most, and raises Unavailable without an answer.
    """

    def __init__(self, config: Mapping[str, Any], streams: Streams) -> None:
        self._login = Login(config)
        self.admin = AdminClient(dict(config) | {"error_cb": self._login.note})
        """The client that it asks through, for questions of others."""
        self._streams = streams
        self._address = config["bootstrap.servers"]

    def cluster_id(self) -> str:
        """Kafka's own id of the cluster."""
        return str(self._answer(self.admin.describe_cluster(request_timeout=REPLY_SECONDS)).cluster_id)

    def topic_ids(self) -> dict[str, str]:
        """Kafka's own ids of those of our topics that exist now."""
        return self.answered(self.ask_topic_ids())

    def ask_topic_ids(self) -> "Mapping[str, Future[Any]]":
        """The same question, without waiting for the answer."""
        return self.admin.describe_topics(ck.TopicCollection(self._streams.topics), request_timeout=REPLY_SECONDS)

    def answered(self, futures: "Mapping[str, Future[Any]]") -> dict[str, str]:
        """The topic ids that were asked for."""
        ids = {}
        for topic, future in futures.items():
            description = self._answer(future, missing=ck.KafkaError.UNKNOWN_TOPIC_OR_PART)
            if description is not None:
                # librdkafka prints base64 with + and /, Kafka's own tools with - and _.
                ids[topic] = topic_state(description).topic_id.translate(_AS_KAFKA_PRINTS_IT)
        return ids

    def wait_until_ready(self, stop: Callable[[], bool], sleep: Callable[[float], None]) -> None:
        """Blocks until the broker answers or ``stop`` says so; says what it waits for.

        Raises UserError for what no waiting would mend: a missing topic, or one that the user may not read, or the
        broker does not let the user in.
        """
        pause = 0.5
        spread_at = time.monotonic() + SPREAD_SECONDS
        while not stop():
            try:
                question = self.ask_topic_ids()
                while not all(future.done() for future in question.values()) and not stop():
                    sleep(0.05)
                    self.admin.poll(0)
                    self._login.require()
                if stop():
                    return
                ids = self.answered(question)
                keep_informed(self.admin, self._streams.topics[0], self._address)
            except Unavailable as failure:
                log.warning("waiting for Kafka", address=self._address, seconds=pause, reason=str(failure))
                sleep(pause)
                pause = min(2 * pause, 10.0)
                continue
            missing = [topic for topic in self._streams.topics if topic not in ids]
            if missing and time.monotonic() < spread_at:
                sleep(0.05)
                continue
            if missing:
                raise UserError(f"Kafka at {self._address} has no topic {', '.join(missing)}: run ./init-kafka.sh")
            return

    def ranges(self, topic_partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetRange]:
        """Which offsets the partitions hold."""
        first = self._offsets(topic_partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        end = self._offsets(topic_partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        return {
            topic_partition: OffsetRange(first[topic_partition], end[topic_partition]) for topic_partition in first
        }

    def topic_partitions(self) -> list[TopicPartition]:
        """All partitions of our topics."""
        states = {topic: topic_state(self._answer(future)) for topic, future in self.ask_topic_ids().items()}
        return [
            TopicPartition(topic, number) for topic, state in states.items() for number in range(state.partitions)
        ]

    def _offsets(self, topic_partitions: Iterable[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        asked = {ck.TopicPartition(*topic_partition): spec for topic_partition in topic_partitions}
        if not asked:
            return {}
        answers = self.admin.list_offsets(
            asked, isolation_level=ck.IsolationLevel.READ_UNCOMMITTED, request_timeout=REPLY_SECONDS
        )
        return {
            TopicPartition(at.topic, at.partition): checked_offset(self._answer(future).offset)
            for at, future in answers.items()
        }

    def _answer(self, future: "Future[Any]", missing: int | None = None) -> Any:
        try:
            return future.result(REPLY_SECONDS + 1)
        except ck.KafkaException as failure:
            if failure.args[0].code() == missing:
                return None
            if failure.args[0].code() == ck.KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise self._login.not_allowed("read", ", ".join(self._streams.topics)) from None
            self.admin.poll(0)
            self._login.require()
            raise Unavailable(f"Kafka at {self._address} does not answer: {failure.args[0].str()}") from None
        except TimeoutError:
            raise Unavailable(f"Kafka at {self._address} does not answer in time") from None


class TopicWatch:
    """Notices that a topic was deleted and recreated, without ever blocking."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._asked_at = float("-inf")
        self._question: Mapping[str, Future[Any]] = {}

    def changed(self, known: Ids) -> bool:
        """Whether the broker has, as of a few seconds ago, other topics of these names than ``known``.

        A topic that is gone has not changed yet: there is nothing to read before it is recreated.
        """
        if self._question and all(future.done() for future in self._question.values()):
            question, self._question = self._question, {}
            try:
                now = self._broker.answered(question)
            except Unavailable as failure:
                log.warning("waiting for Kafka", reason=str(failure))
                return False
            return any(known.get(topic) != topic_id for topic, topic_id in now.items())
        if not self._question and time.monotonic() - self._asked_at >= DESCRIBE_SECONDS:
            self._asked_at = time.monotonic()
            self._question = self._broker.ask_topic_ids()
        return False


class Lag:
    """How many offsets of our topics the group has not done with yet. Blocks and raises as ``Broker`` does.

    The group's offsets are asked of a consumer that joins nothing. An AdminClient has them too, but librdkafka 2.16
    looks for the asking client's own group where the broker ends meanwhile: it has none, and the process crashes.
    """

    def __init__(self, broker: Broker, config: Mapping[str, Any], streams: Streams) -> None:
        self._broker = broker
        self._address = config["bootstrap.servers"]
        self._config = {**config, "group.id": streams.group, "enable.auto.commit": False}
        self._consumer = ck.Consumer(self._config)

    def __call__(self) -> int:
        held = self._broker.ranges(self._broker.topic_partitions())
        try:
            stored = self._consumer.committed(
                [ck.TopicPartition(*topic_partition) for topic_partition in held], timeout=REPLY_SECONDS
            )
        except ck.KafkaException as failure:
            leave_behind(self._consumer)
            self._consumer = ck.Consumer(self._config)
            raise Unavailable(f"Kafka at {self._address} does not answer: {failure.args[0].str()}") from None
        for at in stored:
            if at.error is not None:
                raise Unavailable(f"Kafka at {self._address}: offsets of the group: {at.error.str()}")
        done = {TopicPartition(at.topic, at.partition): at.offset for at in stored}
        return sum(max(0, at.end - max(at.first, done[topic_partition])) for topic_partition, at in held.items())
