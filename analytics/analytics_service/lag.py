"""How far analytics is behind."""

import confluent_kafka as ck

from shop.runtime.errors import Unavailable
from shop.runtime.kafka.admin import Admin
from shop.runtime.kafka.failover import leave_behind
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.log import TopicPartition

REPLY_SECONDS = 3.0
"""People look at the lag: they would rather see none than wait for it."""


class Lag:
    """How many offsets of the topics the group has not committed yet. Blocks for seconds at most; raises Unavailable.

    The group's offsets are asked of a consumer that joins nothing. An AdminClient has them too, but librdkafka 2.16
    looks for the asking client's own group where the broker ends meanwhile: it has none, and the process crashes.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._admin = Admin(options, REPLY_SECONDS)
        self._consumer = ck.Consumer(options.reader())

    def __call__(self) -> int:
        topics = self._admin.topics()
        if len(topics) < len(self._options.topics):
            raise Unavailable("a topic is missing")
        partitions = [TopicPartition(topic, n) for topic, state in topics.items() for n in range(state.partitions)]
        beginnings, ends = self._admin.beginnings(partitions), self._admin.high_watermarks(partitions)
        address = self._options.bootstrap
        try:
            committed = self._consumer.committed(list(map(self._options.theirs, partitions)), timeout=REPLY_SECONDS)
        except ck.KafkaException as failure:
            leave_behind(self._consumer)
            self._consumer = ck.Consumer(self._options.reader())
            raise Unavailable(f"Kafka at {address} does not answer: {failure.args[0].str()}") from None
        for at in committed:
            if at.error is not None:
                raise Unavailable(f"Kafka at {address}: offsets of the group: {at.error.str()}")
        done = {self._options.topic_partition(at): at.offset for at in committed}
        return sum(max(0, ends[at] - max(beginnings[at], done[at])) for at in partitions)
