"""The set with the real broker: every world has topics and groups of its own on it."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from shop.contract.lifecycle import TOPICS
from shop.contract.rules import Rules
from shop.runtime.clock import SystemClock
from shop.runtime.kafka.log import KafkaLog
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.limits import Limits
from shop.runtime.log import Committed, Log, Offsets, Record, TopicPartition
from shop.runtime.loop import Processor
from tools.kit.world import PARTITIONS, World

TIMEOUT = 60.0
REPLY = 10.0


class RealWorld(World):
    def __init__(self, bootstrap: str, partitions: int = PARTITIONS) -> None:
        super().__init__()
        self.bootstrap = bootstrap
        self.namespace = f"t{uuid.uuid4().hex[:10]}-"
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self._writer = self._new_writer()
        self.create(*TOPICS, partitions=partitions)

    def _new_writer(self) -> ck.Producer:
        return ck.Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "linger.ms": 0})

    def create(self, *topics: str, partitions: int = PARTITIONS) -> None:
        config = {"message.timestamp.type": "LogAppendTime"}
        # With as many copies as the broker makes by default.
        wanted = [NewTopic(self.namespace + topic, partitions, config=config) for topic in topics]
        for future in self.admin.create_topics(wanted).values():
            future.result(REPLY)
        deadline = time.monotonic() + REPLY
        while not {topic.topic for topic in wanted} <= self.admin.list_topics(timeout=REPLY).topics.keys():
            assert time.monotonic() < deadline, "the broker does not show the topics that it has created"

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        looked = 0.0
        while time.monotonic() < deadline:
            for processor in list(self.services.values()):
                processor.step()
            if time.monotonic() - looked > 0.1:
                if condition():
                    return
                looked = time.monotonic()
        pytest.fail(f"waited in vain for {what}")

    def publish(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        self._writer.produce(self.namespace + topic, value, key, partition)
        assert self._writer.flush(REPLY) == 0

    def records(self, topic: str) -> list[Record]:
        return read_committed(self.bootstrap, self.namespace, topic)

    def log_of(self, service: str, slot: str, rules: Rules[Any]) -> Log:
        log = KafkaLog(self.options(service, slot, rules))
        log.open(stop=lambda: False)
        return log

    def options(self, service: str, slot: str, rules: Rules[Any]) -> KafkaOptions:
        return KafkaOptions(
            bootstrap=self.bootstrap,
            namespace=self.namespace,
            group=service,
            instance=slot,
            topics=(service, *rules.inputs),
            client={},
            logger=logging.getLogger("librdkafka"),
        )

    def processor(self, log: Log, rules: Rules[Any], limits: Limits, accept_loss: bool) -> Processor:
        return Processor(log, rules, SystemClock(), limits, accept_loss=accept_loss)

    def stop(self, service: str, slot: str = "0") -> None:
        self.services.pop((service, slot)).run(stop=lambda: True)
        log = self.logs.pop((service, slot))
        assert isinstance(log, KafkaLog)
        log.close()

    def expire(self, service: str, slot: str) -> None:
        """Nothing to do: the broker ends the session of a static member by itself."""

    def open_transaction(self, topic: str, partition: int, value: bytes) -> Callable[[], None]:
        producer = ck.Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "transactional.id": f"somebody-{uuid.uuid4()}",
                "transaction.timeout.ms": 12_000,
            }
        )
        producer.init_transactions(REPLY)
        producer.begin_transaction()
        producer.produce(self.namespace + topic, value, partition=partition)
        assert producer.flush(REPLY) == 0
        return lambda: producer.abort_transaction(REPLY)

    def recreate(self, topic: str) -> None:
        self.admin.delete_topics([self.namespace + topic])[self.namespace + topic].result(REPLY)
        deadline = time.monotonic() + REPLY
        while True:
            try:
                self.create(topic)
                return
            except ck.KafkaException:
                # The broker needs a moment to forget the old one.
                if time.monotonic() > deadline:
                    raise

    def add_partitions(self, topic: str, total: int) -> None:
        name = self.namespace + topic
        self.admin.create_partitions([NewPartitions(name, total)])[name].result(REPLY)
        self._writer = self._new_writer()

    def committed(self, service: str) -> Offsets:
        asked = [ck.ConsumerGroupTopicPartitions(self.namespace + service)]
        (answer,) = self.admin.list_consumer_group_offsets(asked).values()
        found = answer.result(REPLY).topic_partitions
        return {self._ours(one): Committed(one.offset, one.metadata or "") for one in found}

    def replace_offsets(self, service: str, offsets: Offsets) -> None:
        group = self.namespace + service
        self.admin.delete_consumer_groups([group])[group].result(REPLY)
        theirs = [
            ck.TopicPartition(self.namespace + topic, number, offset, metadata)
            for (topic, number), (offset, metadata) in offsets.items()
        ]
        if theirs:
            (answer,) = self.admin.alter_consumer_group_offsets(
                [ck.ConsumerGroupTopicPartitions(group, theirs)]
            ).values()
            answer.result(REPLY)
            assert self.committed(service) == offsets

    def ends(self) -> Mapping[TopicPartition, int]:
        topics = self.admin.list_topics(timeout=REPLY).topics
        names = [self.namespace + topic for topic in TOPICS]
        asked = {
            ck.TopicPartition(name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for name in names
            for number in topics[name].partitions
        }
        answers = self.admin.list_offsets(asked, isolation_level=ck.IsolationLevel.READ_UNCOMMITTED)
        return {
            self._ours(topic_partition): future.result(REPLY).offset for topic_partition, future in answers.items()
        }

    def _ours(self, theirs: ck.TopicPartition) -> TopicPartition:
        return TopicPartition(theirs.topic[len(self.namespace) :], theirs.partition)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        topic_partition = ck.TopicPartition(self.namespace + topic, partition, before)
        for future in self.admin.delete_records([topic_partition]).values():
            future.result(REPLY)

    def positions(self) -> str:
        """For a person who wonders what is stuck: per partition the last stable offset, the high watermark, and what
        each group has stored."""
        levels = (ck.IsolationLevel.READ_COMMITTED, ck.IsolationLevel.READ_UNCOMMITTED)
        topics = self.admin.list_topics(timeout=REPLY).topics
        names = [self.namespace + topic for topic in TOPICS]
        topic_partitions = [ck.TopicPartition(name, number) for name in names for number in topics[name].partitions]
        stable, high = (
            {
                (topic_partition.topic, topic_partition.partition): future.result(REPLY).offset
                for topic_partition, future in self.admin.list_offsets(
                    {topic_partition: OffsetSpec.latest() for topic_partition in topic_partitions},  # type: ignore[no-untyped-call]
                    isolation_level=level,
                ).items()
            }
            for level in levels
        )
        lines = [
            f"{topic}/{number}: stable {stable[topic, number]} of {high[topic, number]}" for topic, number in high
        ]
        for group in ("checkout", "order", "fulfillment", "analytics"):
            asked = [ck.ConsumerGroupTopicPartitions(self.namespace + group)]
            (answer,) = self.admin.list_consumer_group_offsets(asked).values()
            stored = {f"{one.topic}/{one.partition}": one.offset for one in answer.result(REPLY).topic_partitions}
            lines.append(f"{group}: {stored}")
        return "\n".join(lines)

    def close(self) -> None:
        for service, slot in list(self.services):
            self.stop(service, slot)
        for future in self.admin.delete_topics([self.namespace + topic for topic in TOPICS]).values():
            future.result(REPLY)


def read_committed(bootstrap: str, namespace: str, topic: str) -> list[Record]:
    """All that a read_committed consumer sees of a topic up to its last stable offset."""
    consumer = ck.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "nobody",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        name = namespace + topic
        partitions = consumer.list_topics(name, REPLY).topics[name].partitions
        consumer.assign([ck.TopicPartition(name, number, ck.OFFSET_BEGINNING) for number in partitions])
        waiting, records = set(partitions), []
        deadline = time.monotonic() + REPLY
        while waiting and time.monotonic() < deadline:
            for message in consumer.consume(1000, 0.05):
                error = message.error()
                if error is None:
                    records.append(
                        Record(
                            topic,
                            message.partition(),  # type: ignore[arg-type]
                            message.offset(),  # type: ignore[arg-type]
                            message.timestamp()[1] / 1000,
                            message.key(),
                            message.value(),
                        )
                    )
                elif error.code() == ck.KafkaError._PARTITION_EOF:
                    waiting.discard(message.partition())
        assert not waiting, f"{name}: no end of the partitions {waiting}"
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()
