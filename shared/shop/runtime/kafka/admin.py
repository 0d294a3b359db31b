"""What the broker says of the topics: their ids, their partitions, and what those hold."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import confluent_kafka as ck
import structlog
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from shop.runtime.backoff import BackOff
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import REPLY_SECONDS, SPREAD_SECONDS, checked_offset, keep_informed
from shop.runtime.kafka.login import READ, WRITE, Login
from shop.runtime.kafka.options import MASKED, KafkaOptions
from shop.runtime.kafka.topic_ids import share_topic_ids, topic_id_text
from shop.runtime.log import TopicPartition, TopicState

DESCRIBE_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
LOOK_SECONDS = 0.02

Offsets = Mapping[TopicPartition, int]
Futures = Mapping[Any, "Future[Any]"]
Answer = TypeVar("Answer")

log = structlog.get_logger()


class Admin:
    """Asks through an admin client, from any thread.

    Calls block for twice ``reply`` seconds at most. They raise Unavailable without an answer, and UserError where the
    broker refuses the user.
    """

    def __init__(
        self,
        options: KafkaOptions,
        reply: float = REPLY_SECONDS,
        client: Callable[[dict[str, Any]], AdminClient] = AdminClient,
    ) -> None:
        share_topic_ids()
        self._options = options
        self._reply = reply
        self._client_of = client
        self._client: AdminClient | None = None
        self._login = Login(options.common())

    def wait_until_ready(self, stop: Callable[[], bool], writes: str | None = None) -> None:
        """Blocks until the broker answers and has the topics, or ``stop`` says so.

        Raises UserError for what no waiting would mend: the broker refuses the user, or that he reads the topics; a
        topic is missing. For a publisher also: it may not write its output topic ``writes``, or the topics have
        different numbers of partitions.
        """
        pause = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
        spread_at = time.monotonic() + SPREAD_SECONDS
        while not stop():
            try:
                question = self.ask_topics(with_rights=True)
                while not all(future.done() for future in question.values()):
                    if stop():
                        return
                    self._asked(lambda client: client.poll(LOOK_SECONDS))
                    self._login.require()
                states = self.answered(question)
                if len(states) < len(self._options.topics) and time.monotonic() < spread_at:
                    time.sleep(LOOK_SECONDS)
                    continue
                self._require_all(states)
                self._require_rights(question, writes)
                if writes is not None:
                    self._require_same_counts(states)
                self._asked(lambda client: keep_informed(client, self._options.broker_topics[0], self._address))
                return
            except Unavailable as error:
                seconds = pause()
                log.warning("waiting for Kafka", address=self._address, reason=str(error), seconds=seconds)
                time.sleep(seconds)

    def cluster_id(self) -> str:
        """Kafka's own id of the cluster."""
        question = self._asked(lambda client: client.describe_cluster(request_timeout=self._reply))
        return str(self._answer(question, "cluster").cluster_id)

    def topics(self) -> dict[str, TopicState]:
        """The topics that exist now."""
        return self.answered(self.ask_topics())

    def topic_ids(self) -> dict[str, str]:
        """Kafka's own ids of the topics that exist now."""
        return {topic: state.topic_id for topic, state in self.topics().items()}

    def existing_topics(self) -> dict[str, TopicState]:
        """The topics; raises UserError where one is missing."""
        states = self.topics()
        self._require_all(states)
        return states

    def partitions(self) -> list[TopicPartition]:
        """All partitions, topic by topic; raises UserError where a topic is missing."""
        states = self.existing_topics()
        return [TopicPartition(topic, n) for topic in self._options.topics for n in range(states[topic].partitions)]

    def beginnings(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """The first offset that each partition still holds."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """The end of each partition, behind everything, that in open transactions too."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def last_stable_offsets(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """Up to where everything is decided, committed or aborted."""
        level = ck.IsolationLevel.READ_COMMITTED
        return self._offsets(partitions, OffsetSpec.latest(), level)  # type: ignore[no-untyped-call]

    def cleanup_policies(self) -> dict[str, str]:
        """The cleanup.policy of each topic; one that the user may not look at is missing."""
        asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in self._options.broker_topics]
        answers = self._asked(lambda client: client.describe_configs(asked, request_timeout=self._reply))
        found = {}
        for resource, future in answers.items():
            configuration = self._answer(future, "policies", missing=ck.KafkaError.TOPIC_AUTHORIZATION_FAILED)
            if configuration is not None:
                found[self._options.ours(resource.name)] = str(configuration["cleanup.policy"].value)
        return found

    # ---- asking --------------------------------------------------------------------------------------------

    @property
    def _address(self) -> str:
        return self._options.bootstrap

    def _asked(self, call: Callable[[AdminClient], Answer]) -> Answer:
        """What the client returns. One whose call fails at once is of no more use: the next call makes another."""
        try:
            if self._client is None:
                self._client = self._client_of(self._options.common() | {"error_cb": self._login.note})
            return call(self._client)
        except (ck.KafkaException, *MASKED) as failure:
            self._client = None
            raise Unavailable(f"Kafka at {self._address} does not answer: {failure}") from None

    def ask_topics(self, with_rights: bool = False) -> Futures:
        """Asks for the topics without waiting; ``answered`` tells of the answers."""
        return self._asked(
            lambda client: client.describe_topics(
                ck.TopicCollection(self._options.broker_topics),
                request_timeout=self._reply,
                include_authorized_operations=with_rights,
            )
        )

    def answered(self, question: Futures) -> dict[str, TopicState]:
        """The topics that exist, once the broker has answered."""
        states: dict[str, TopicState] = {}
        for topic, future in question.items():
            found = self._answer(future, "topics", missing=ck.KafkaError.UNKNOWN_TOPIC_OR_PART)
            if found is not None:
                states[self._options.ours(topic)] = TopicState(topic_id_text(found.topic_id), len(found.partitions))
        return states

    def _offsets(
        self,
        partitions: Iterable[TopicPartition],
        spec: OffsetSpec,
        level: ck.IsolationLevel = ck.IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[TopicPartition, int]:
        asked = {self._options.theirs(topic_partition): spec for topic_partition in partitions}
        if not asked:
            return {}
        answers = self._asked(
            lambda client: client.list_offsets(asked, isolation_level=level, request_timeout=self._reply)
        )
        return {
            self._options.topic_partition(at): checked_offset(self._answer(future, "ends of the partitions").offset)
            for at, future in answers.items()
        }

    def _answer(self, future: "Future[Any]", what: str, missing: int | None = None) -> Any:
        """The answer, or None where the broker does not know of it (error ``missing``)."""
        try:
            return future.result(2 * self._reply)
        except ck.KafkaException as failure:
            error = failure.args[0]
            if error.code() == missing:
                return None
            if error.code() == ck.KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise self._login.not_allowed("use", ", ".join(self._options.broker_topics)) from None
            self._asked(lambda client: client.poll(0))
            self._login.require()
            reason = error.str()
        except TimeoutError:
            reason = "no answer in time"
        raise Unavailable(f"Kafka at {self._address} does not answer: {what}: {reason}")

    # ---- requirements --------------------------------------------------------------------------------------

    def _require_all(self, states: Mapping[str, TopicState]) -> None:
        missing = [self._options.namespace + topic for topic in self._options.topics if topic not in states]
        if missing:
            raise UserError(f"Kafka at {self._address} has no topic {', '.join(missing)}: run ./init-kafka.sh")

    def _require_same_counts(self, states: Mapping[str, TopicState]) -> None:
        counts = {topic: state.partitions for topic, state in states.items()}
        if len(set(counts.values())) > 1:
            raise UserError(f"the topics must have equally many partitions, but have {counts}: add the missing ones")

    def _require_rights(self, answers: Futures, writes: str | None) -> None:
        for topic in self._options.broker_topics:
            if READ not in answers[topic].result().authorized_operations:
                raise self._login.not_allowed("read", topic)
        if writes is None:
            return
        output = self._options.namespace + writes
        if WRITE not in answers[output].result().authorized_operations:
            opened = "it is open to others (OPEN_TOPICS of init-kafka.sh), whose service takes the place of this one"
            raise self._login.not_allowed("write", output, opened)


class TopicWatch:
    """The topics as of a few seconds ago, without ever blocking. For one thread."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._known: Mapping[str, TopicState] = {}
        self._question: Futures = {}
        self._asked_at = float("-inf")

    def now(self) -> Mapping[str, TopicState]:
        """The topics as of now. Blocks and raises as the admin client does."""
        self._known, self._question = self._admin.topics(), {}
        return self._known

    def latest(self) -> Mapping[str, TopicState]:
        """Asks every ``DESCRIBE_SECONDS``. A topic that does not exist is missing, and so are all before the first
        answer."""
        try:
            if self._question and all(future.done() for future in self._question.values()):
                question, self._question = self._question, {}
                self._known = self._admin.answered(question)
            if not self._question and time.monotonic() - self._asked_at >= DESCRIBE_SECONDS:
                self._asked_at = time.monotonic()
                self._question = self._admin.ask_topics()
        except Unavailable as error:
            log.warning("waiting for Kafka", reason=str(error))
        return self._known
