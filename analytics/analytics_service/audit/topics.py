"""The topics: which offsets are audited, and the committed messages in them."""

import time
from collections.abc import Callable, Generator, Iterable, Mapping

import confluent_kafka as ck

from analytics_service.audit.messages import Message
from analytics_service.dead_letters import Headers, headers_of
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.admin import Admin
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.log import TopicPartition

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

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self.admin = Admin(options, REPLY_SECONDS)
        """What else is to be known of the topics."""
        self._consumer = ck.Consumer(options.reader())
        self._address = options.bootstrap

    def topic_partitions(self) -> list[TopicPartition]:
        """All partitions, topic by topic."""
        try:
            # The consumer looks for the leader of a topic that it has not heard of for seconds, unless it asks first.
            self._consumer.list_topics(timeout=REPLY_SECONDS)
        except ck.KafkaException as failure:
            raise Unavailable(f"Kafka at {self._address} does not answer: {failure.args[0].str()}") from None
        return self.admin.partitions()

    def stable_ends(
        self, topic_partitions: Iterable[TopicPartition], high_watermarks: Offsets, say: Callable[[str], None]
    ) -> Offsets:
        """Up to where everything is decided: committed or aborted (last stable offset). Waits until that is
        ``high_watermarks`` at least, but not for ever; says what it waits for."""
        deadline = time.monotonic() + TRANSACTION_SECONDS
        said = False
        while True:
            ends = self.admin.last_stable_offsets(topic_partitions)
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
            self._consumer.assign([self._options.theirs(topic_partition, start)])
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
