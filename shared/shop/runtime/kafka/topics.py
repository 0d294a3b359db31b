"""What the broker says of the topics: their ids, their partitions, and what those hold."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

import confluent_kafka as ck
import structlog
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import REPLY_SECONDS, SPREAD_SECONDS, checked_offset, keep_informed
from shop.runtime.kafka.login import READ, WRITE, Login
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.kafka.topic_state import topic_state
from shop.runtime.log import TopicPartition, TopicState

DESCRIBE_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
LOOK_SECONDS = 0.02

log = structlog.get_logger()


class Topics:
    """Asks through an admin client. Calls block for ``2 * REPLY_SECONDS`` at most and raise Unavailable."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._login = Login(options.common())
        self._admin = AdminClient(options.common() | {"error_cb": self._login.note})
        self._states: dict[str, TopicState] = {}
        self._question: Mapping[str, Future[Any]] = {}
        self._asked_at = float("-inf")

    def wait_until_ready(self, stop: Callable[[], bool]) -> None:
        """Blocks until the broker answers, or ``stop`` says so. Raises UserError for what no waiting would mend: the
        broker refuses the user, or what it has to do with a topic; a topic is missing, or the topics have different
        numbers of partitions."""
        pause = FIRST_PAUSE
        spread_at = time.monotonic() + SPREAD_SECONDS
        while not stop():
            try:
                question = self._ask(with_rights=True)
                while not all(future.done() for future in question.values()):
                    if stop():
                        return
                    self._admin.poll(LOOK_SECONDS)
                    self._login.require()
                self._states = self._answered(question)
                if self._missing and time.monotonic() < spread_at:
                    time.sleep(LOOK_SECONDS)
                    continue
                self._require_same_counts()
                self._require_rights(question)
                keep_informed(self._admin, self._options.topics[0], self._options.bootstrap)
                return
            except Unavailable as error:
                log.warning("waiting for Kafka", address=self._options.bootstrap, reason=str(error), seconds=pause)
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def states(self, fresh: bool) -> Mapping[str, TopicState]:
        """See ``Log.topics``: asks every ``DESCRIBE_SECONDS``; waits for an answer only if it must be ``fresh``."""
        if fresh:
            self._states, self._question = self._answered(self._ask()), {}
            return self._states
        if self._question and all(future.done() for future in self._question.values()):
            question, self._question = self._question, {}
            try:
                self._states = self._answered(question)
            except Unavailable as error:
                log.warning("waiting for Kafka", address=self._options.bootstrap, reason=str(error))
        if not self._question and time.monotonic() - self._asked_at > DESCRIBE_SECONDS:
            self._asked_at = time.monotonic()
            self._question = self._ask()
        return self._states

    def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See ``Log.beginnings``."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """See ``Log.high_watermarks``."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    @property
    def _missing(self) -> list[str]:
        return [topic for topic in self._options.topics if self._options.ours(topic) not in self._states]

    def _require_same_counts(self) -> None:
        if self._missing:
            raise UserError(
                f"Kafka at {self._options.bootstrap} has no topic {', '.join(self._missing)}: run ./init-kafka.sh"
            )
        counts = {topic: state.partitions for topic, state in self._states.items()}
        if len(set(counts.values())) > 1:
            raise UserError(f"the topics must have equally many partitions, but have {counts}: add the missing ones")

    def _require_rights(self, answers: Mapping[str, "Future[Any]"]) -> None:
        for topic in self._options.topics:
            if READ not in answers[topic].result().authorized_operations:
                raise self._login.not_allowed("read", topic)
        own = self._options.topics[0]
        if WRITE not in answers[own].result().authorized_operations:
            opened = "it is open to others (OPEN_TOPICS of init-kafka.sh), whose service takes the place of this one"
            raise self._login.not_allowed("write", own, opened)

    def _ask(self, with_rights: bool = False) -> Mapping[str, "Future[Any]"]:
        return self._admin.describe_topics(
            ck.TopicCollection(self._options.topics),
            request_timeout=REPLY_SECONDS,
            include_authorized_operations=with_rights,
        )

    def _answered(self, futures: Mapping[str, "Future[Any]"]) -> dict[str, TopicState]:
        states: dict[str, TopicState] = {}
        for topic, future in futures.items():
            description = self._answer(future, "topics", missing=ck.KafkaError.UNKNOWN_TOPIC_OR_PART)
            if description is not None:
                states[self._options.ours(topic)] = topic_state(description)
        return states

    def _offsets(self, partitions: Iterable[TopicPartition], spec: OffsetSpec) -> dict[TopicPartition, int]:
        asked = {self._options.theirs(topic_partition): spec for topic_partition in partitions}
        if not asked:
            return {}
        # Uncommitted: what hides behind an open transaction counts.
        level = ck.IsolationLevel.READ_UNCOMMITTED
        answers = self._admin.list_offsets(asked, isolation_level=level, request_timeout=REPLY_SECONDS)
        return {
            self._options.topic_partition(topic_partition): checked_offset(
                self._answer(future, "ends of the partitions").offset
            )
            for topic_partition, future in answers.items()
        }

    def _answer(self, future: "Future[Any]", what: str, missing: int | None = None) -> Any:
        """The answer, or None where the broker does not know of it (error ``missing``)."""
        try:
            return future.result(REPLY_SECONDS * 2)
        except ck.KafkaException as failure:
            if failure.args[0].code() == missing:
                return None
            if failure.args[0].code() == ck.KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise self._login.not_allowed("use", ", ".join(self._options.topics)) from None
            reason = failure.args[0].str()
        except TimeoutError:
            reason = "no answer in time"
        raise Unavailable(f"Kafka at {self._options.bootstrap}: {what}: {reason}")
