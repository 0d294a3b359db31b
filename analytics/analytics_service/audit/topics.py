"""The topics: which offsets are audited, and the committed messages in them."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import ConfigResource, OffsetSpec  # type: ignore[attr-defined]

from analytics_service.audit.messages import Message
from analytics_service.dead_letters import Headers, headers_of
from analytics_service.kafka import Broker
from analytics_service.streams import Streams, TopicPartition
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import checked_offset

REPLY_SECONDS = 5.0
TRANSACTION_SECONDS = 30.0
"""How long to wait for open transactions; the broker ends them after half of that (transaction.max.timeout.ms)."""
SILENCE_SECONDS = 30.0
CHUNK = 5000
"""Messages read at a time."""

Offsets = Mapping[TopicPartition, int]


class TopicReader:
    """Reads all three topics without a group: it stores nothing at the broker.

    Every call blocks for seconds at most and raises Unavailable when there is no answer, UserError when a topic is
    missing or what was to be read is not there any more.
    """

    def __init__(self, client: Mapping[str, Any], streams: Streams, address: str) -> None:
        self._broker = Broker(client, streams)
        self._consumer = ck.Consumer(
            {
                **client,
                "group.id": f"{streams.namespace}audit",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                # At the end of a partition a request waits for as long, and the next partition with it.
                "fetch.wait.max.ms": 20,
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 16_384,
            }
        )
        self._streams = streams
        self._address = address

    def ids(self) -> dict[str, str]:
        """Kafka's own id of each topic, by the contract's name."""
        ids = self._broker.topic_ids()
        missing = [topic for topic in self._streams.topics if topic not in ids]
        if missing:
            raise UserError(f"Kafka at {self._address} has no topic {', '.join(missing)}: run ./init-kafka.sh")
        return {self._streams.table(topic): topic_id for topic, topic_id in ids.items()}

    def cluster_id(self) -> str:
        return self._broker.cluster_id()

    def policies(self) -> dict[str, str]:
        """The cleanup.policy of each topic, by the contract's name; one that may not be read is not in it."""
        asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in self._streams.topics]
        policies = {}
        for resource, future in self._broker.admin.describe_configs(asked, request_timeout=REPLY_SECONDS).items():
            try:
                configuration = future.result(2 * REPLY_SECONDS)
            except ck.KafkaException as failure:
                if failure.args[0].code() != ck.KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise self._unavailable(failure) from None
            except TimeoutError:
                raise Unavailable(f"Kafka at {self._address} does not answer in time") from None
            else:
                policies[self._streams.table(resource.name)] = str(configuration["cleanup.policy"].value)
        return policies

    def topic_partitions(self) -> list[TopicPartition]:
        """All partitions, topic by topic."""
        try:
            # Asked of the consumer: it takes its time to look for the leader of a topic that it has not heard of.
            known = self._consumer.list_topics(timeout=REPLY_SECONDS).topics
        except ck.KafkaException as failure:
            raise self._unavailable(failure) from None
        return [
            TopicPartition(topic, number)
            for topic in self._streams.topics
            for number in sorted(known[topic].partitions)
        ]

    def starts(self, topic_partitions: Iterable[TopicPartition]) -> Offsets:
        """The first offset that each partition still holds."""
        return self._offsets(topic_partitions, OffsetSpec.earliest(), committed=False)  # type: ignore[no-untyped-call]

    def ends(self, topic_partitions: Iterable[TopicPartition]) -> Offsets:
        """Where each partition ends, behind everything, that in open transactions too (high watermark)."""
        return self._offsets(topic_partitions, OffsetSpec.latest(), committed=False)  # type: ignore[no-untyped-call]

    def stable_ends(
        self, topic_partitions: Iterable[TopicPartition], high_watermarks: Offsets, say: Callable[[str], None]
    ) -> Offsets:
        """Up to where everything is decided: committed or aborted (last stable offset). Waits until that is
        ``high_watermarks`` at least, but not for ever; says what it waits for."""
        deadline = time.monotonic() + TRANSACTION_SECONDS
        said = False
        while True:
            ends = self._offsets(topic_partitions, OffsetSpec.latest(), committed=True)  # type: ignore[no-untyped-call]
            hidden = sum(max(0, high_watermarks[topic_partition] - end) for topic_partition, end in ends.items())
            if not hidden or time.monotonic() > deadline:
                return ends
            if not said:
                say(f"open transactions hide {hidden} offsets: waiting {TRANSACTION_SECONDS:.0f} s at most")
                said = True
            time.sleep(0.1)

    def messages(self, topic_partition: TopicPartition, start: int, end: int) -> Generator[tuple[list[Message], int]]:
        """The committed messages from ``start`` up to ``end``, about ``CHUNK`` at a time, in order; and the offset
        that they reach up to."""
        if start < end:
            self._consumer.assign([ck.TopicPartition(*topic_partition, start)])
        reached = start
        while reached < end:
            messages: list[Message] = []
            reached = self._fill(messages, topic_partition, reached, end)
            yield messages, min(reached, end)

    def close(self) -> None:
        """Nothing more will be read."""
        self._consumer.close()

    def _fill(self, messages: list[Message], topic_partition: TopicPartition, reached: int, end: int) -> int:
        consumer = self._consumer
        silent_since = time.monotonic()
        while reached < end and len(messages) < CHUNK:
            first = consumer.poll(0.5)
            if first is None:
                if time.monotonic() - silent_since > SILENCE_SECONDS:
                    raise Unavailable(
                        f"Kafka at {self._address} gives nothing of {topic_partition} from offset {reached} on"
                    )
                continue
            silent_since = time.monotonic()
            for message in (first, *consumer.consume(CHUNK - len(messages), 0)):
                error = message.error()
                offset = message.offset()
                assert offset is not None
                if error is None:
                    reached = offset + 1
                    if offset < end:
                        messages.append(_message(message, offset))
                elif error.code() == ck.KafkaError._PARTITION_EOF:
                    reached = max(reached, offset)
                elif error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
                    raise UserError(
                        f"{topic_partition.topic} partition {topic_partition.partition} lost messages during the "
                        "audit (retention, or it was recreated): start it again"
                    )
                # Anything else (a broker that is away for a moment) ends by itself, or in silence.
        return reached

    def _offsets(self, topic_partitions: Iterable[TopicPartition], spec: OffsetSpec, *, committed: bool) -> Offsets:
        level = ck.IsolationLevel.READ_COMMITTED if committed else ck.IsolationLevel.READ_UNCOMMITTED
        asked = {ck.TopicPartition(*topic_partition): spec for topic_partition in topic_partitions}
        try:
            answers = self._broker.admin.list_offsets(asked, isolation_level=level, request_timeout=REPLY_SECONDS)
            return {
                TopicPartition(at.topic, at.partition): checked_offset(future.result(2 * REPLY_SECONDS).offset)
                for at, future in answers.items()
            }
        except ck.KafkaException as failure:
            raise self._unavailable(failure) from None
        except TimeoutError:
            raise Unavailable(f"Kafka at {self._address} does not answer in time") from None

    def _unavailable(self, failure: ck.KafkaException) -> Unavailable:
        return Unavailable(f"Kafka at {self._address} does not answer: {failure.args[0].str()}")


def _message(message: ck.Message, offset: int) -> Message:
    kind, time_ms = message.timestamp()
    return Message(
        offset,
        time_ms,
        kind == ck.TIMESTAMP_LOG_APPEND_TIME,
        message.key(),
        message.value(),
        _headers(message),
    )


def _headers(message: ck.Message) -> Headers | None:
    try:
        return headers_of(message)
    except ValueError:
        return None  # a dead letter holds none of these either
