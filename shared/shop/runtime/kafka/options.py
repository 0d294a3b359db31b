"""How the clients of a service are configured: in one place, because exactly-once depends on it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import confluent_kafka as ck

from shop.runtime.kafka.failover import FAILOVER
from shop.runtime.log import TopicPartition

SESSION_SECONDS = 10
TRANSACTION_SECONDS = 10

MASKED = (AttributeError, SystemError)
"""What the exception of a fatal client error may turn into: confluent-kafka 2.16 leaves it pending (``error_cb``)
while it calls the logger, and Python's attribute look-up fails by that. Seen in flush() after a topic was
recreated."""


@dataclass(frozen=True)
class KafkaOptions:
    """How a service reaches Kafka, and as whom. ``namespace`` stands before every name that the broker sees and
    none that the runtime sees; ``client`` goes to every librdkafka client unchanged."""

    bootstrap: str
    namespace: str
    group: str
    instance: str
    output_topic: str
    input_topics: tuple[str, ...]
    client: Mapping[str, str]
    logger: logging.Logger

    @property
    def topics(self) -> list[str]:
        """The broker's names of all topics, the own one first."""
        return [self.namespace + topic for topic in (self.output_topic, *self.input_topics)]

    @property
    def slot(self) -> str:
        """Who this instance is, to the group and to the transaction coordinator."""
        return f"{self.namespace}{self.group}-{self.instance}"

    def ours(self, topic: str) -> str:
        """The runtime's name of a topic of the broker."""
        return topic[len(self.namespace) :]

    def topic_partition(self, theirs: ck.TopicPartition) -> TopicPartition:
        """The runtime's name of a partition of the broker."""
        return TopicPartition(self.ours(theirs.topic), theirs.partition)

    def theirs(
        self, topic_partition: TopicPartition, offset: int = ck.OFFSET_INVALID, metadata: str = ""
    ) -> ck.TopicPartition:
        """The reverse of ``topic_partition``."""
        return ck.TopicPartition(self.namespace + topic_partition.topic, topic_partition.partition, offset, metadata)

    def common(self) -> dict[str, Any]:
        """What all clients share."""
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": self.slot,
            "logger": self.logger,
            **FAILOVER,
            **self.client,
        }

    def consumer(self) -> dict[str, Any]:
        """Classic, eager ``range`` (which co-partitions the topics) and static: without ``group.instance.id`` an
        empty generation would be accepted unfenced."""
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
            # A full queue is looked at again after this; with the default, 1 s, catching up would stall in between.
            "fetch.queue.backoff.ms": 10,
            "queued.min.messages": 20_000,
            "queued.max.messages.kbytes": 8192,
            # What one answer may hold beyond a full queue; with the default, 1 MB of each partition, a long restore
            # takes 25 MB more.
            "fetch.max.bytes": 4_194_304,
        }

    def producer(self) -> dict[str, Any]:
        """Transactional, under the same slot name as the consumer."""
        return self.common() | {
            "transactional.id": self.slot,
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
            "delivery.report.only.error": True,
            # Otherwise a producer whose only broker closes a connection forgets that broker, and with it the
            # coordinators, whose answers it then waits for in vain (KIP-899, librdkafka 2.16; #5511). Who has
            # forgotten all brokers for another reason is replaced when its time is up.
            "metadata.recovery.strategy": "none",
        }
