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
    """How a program reaches Kafka, and as whom. ``topics`` are those that it uses, a publisher's output topic first.
    ``namespace`` stands before every name that the broker sees and none that our code sees; ``client`` goes to every
    librdkafka client unchanged."""

    bootstrap: str
    namespace: str
    group: str
    instance: str
    topics: tuple[str, ...]
    client: Mapping[str, str]
    logger: logging.Logger

    @property
    def output_topic(self) -> str:
        return self.topics[0]

    @property
    def broker_topics(self) -> list[str]:
        """The broker's names of the topics."""
        return [self.namespace + topic for topic in self.topics]

    @property
    def slot(self) -> str:
        """Who this instance is, to the group and to the transaction coordinator."""
        return f"{self.namespace}{self.group}-{self.instance}"

    def ours(self, topic: str) -> str:
        """Our name of a topic of the broker."""
        return topic[len(self.namespace) :]

    def topic_partition(self, theirs: ck.TopicPartition) -> TopicPartition:
        """Our name of a partition of the broker."""
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
        return self._reading() | {
            "group.instance.id": self.slot,
            "group.protocol": "classic",
            "partition.assignment.strategy": "range",
            "session.timeout.ms": SESSION_SECONDS * 1000,
            "heartbeat.interval.ms": 1000,
            "fetch.wait.max.ms": 500,
            # A full queue is looked at again after this; with the default, 1 s, catching up would stall in between.
            "fetch.queue.backoff.ms": 10,
            "queued.max.messages.kbytes": 8192,
            # What one answer may hold beyond a full queue; with the default, 1 MB of each partition, a long restore
            # takes 25 MB more.
            "fetch.max.bytes": 4_194_304,
        }

    def reader(self) -> dict[str, Any]:
        """A consumer that joins no group and commits nothing: partitions are assigned by hand."""
        return self._reading() | {
            # At the end of a partition a request waits for as long, and the other partitions with it.
            "fetch.wait.max.ms": 20,
            "queued.max.messages.kbytes": 16_384,
        }

    def _reading(self) -> dict[str, Any]:
        return self.common() | {
            "group.id": self.namespace + self.group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Tells the offset behind a trailing transaction marker, so that the lag shown at rest is 0.
            "enable.partition.eof": True,
            # An offset that retention removed must be loud, not a jump.
            "auto.offset.reset": "error",
            "queued.min.messages": 20_000,
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
