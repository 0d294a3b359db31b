"""What is audited when the shop is real: Kafka and MariaDB."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from analytics_service.audit.entries import ProjectedRow
from analytics_service.audit.messages import AuditedRange, Chunk, StoredRow
from analytics_service.audit.report import Coordinates, DeadLetters, Violation
from analytics_service.audit.tables import TableReader
from analytics_service.audit.topics import TopicReader
from analytics_service.stored import LogPartition
from shop.contract.lifecycle import TOPICS
from shop.runtime.log import TopicPartition


class RealShop:
    """All topics and tables, up to where they were when this was made. ``say`` is called with what it waits for."""

    def __init__(self, topics: TopicReader, tables: TableReader, say: Callable[[str], None]) -> None:
        self._topics = topics
        self._tables = tables
        admin = topics.admin
        cluster_id = admin.cluster_id()
        topic_ids = {topic: state.topic_id for topic, state in admin.existing_topics().items()}
        self._logs = {log.log_id: log for log in tables.logs()}
        self._live = {
            log.topic: log.log_id
            for log in self._logs.values()
            if (log.cluster_id, log.topic_id) == (cluster_id, topic_ids.get(log.topic))
        }
        self.policies = admin.cleanup_policies()
        topic_partitions = topics.topic_partitions()
        starts = admin.beginnings(topic_partitions)
        # All high watermarks are taken before all ends: what lies below one was caused by something
        # below an end.
        high_watermarks = admin.high_watermarks(topic_partitions)
        ends = topics.stable_ends(topic_partitions, high_watermarks, say)
        self.now = int(time.time() * 1000)
        last, lost = self._last_stored(topic_partitions), tables.accepted_losses()
        self.ranges = []
        for topic_partition in topic_partitions:
            partition = self._partition(topic_partition)
            self.ranges.append(
                AuditedRange(
                    topic_partition.topic,
                    topic_partition.partition,
                    start=starts[topic_partition],
                    high_watermark=high_watermarks[topic_partition],
                    end=ends[topic_partition],
                    unstored=last.get(partition, -1) + 1 if partition else 0,
                    lost=lost.get(partition, ()) if partition else (),
                )
            )
        # Taken after what is stored: a row beyond these was never a message.
        self._ends = admin.high_watermarks(topic_partitions)

    @property
    def recreated(self) -> Mapping[str, int]:
        """The topics that had an earlier life, and when analytics first saw the present one."""
        earlier = {log.topic for log in self._logs.values() if log.log_id not in self._live.values()}
        seen = {topic: self._logs[log_id].first_seen.timestamp() * 1000 for topic, log_id in self._live.items()}
        return {topic: int(seen.get(topic, self.now)) for topic in TOPICS if topic in earlier}

    @property
    def dead_letters(self) -> DeadLetters:
        """How many there are."""
        return self._tables.dead_letters()

    def strays(self) -> Iterator[Violation]:
        """Rows in a table of another topic, of a log that nobody knows, or beyond the end of their partition."""
        known = {
            LogPartition(self._live[topic], number): topic for topic, number in self._held() if topic in self._live
        }
        for table, partition in self._tables.partitions():
            log = self._logs.get(partition.log_id)
            where = f"table {table} has rows of log {partition.log_id} partition {partition.number}"
            if log is None:
                yield _stray(table, f"{where}, but kafka_log does not know that log")
            elif table not in (log.topic, "dead_letter"):
                yield _stray(log.topic, f"{where}, which is topic {log.topic}")
            elif partition.log_id in self._live.values() and partition not in known:
                yield _stray(log.topic, f"{where}, but the topic has no such partition")
        for one in self.ranges:
            end = self._ends[self._place(one)]
            if one.unstored > end and not any(first < one.unstored <= after for first, after in one.lost):
                yield _stray(
                    one.topic, f"rows without a message: the topic ends at {end}", one.partition, one.unstored - 1
                )

    def chunks(self, of: AuditedRange) -> Iterator[Chunk]:
        """All messages of a range and what the tables hold of them; while one is judged, the next one is fetched."""
        topic_partition = self._place(of)
        first = of.start

        def fetch() -> Chunk | None:
            nonlocal first
            messages, reached = next(read, (None, of.end))
            if messages is None:
                return None
            facts = {offset: StoredRow(time, value) for offset, time, value in rows.facts(first, reached)}
            chunk = Chunk(messages, facts, rows.letters(first, reached))
            first = reached
            return chunk

        with (
            closing(self._topics.messages(topic_partition, of.start, of.end)) as read,
            self._tables.rows(of.topic, self._partition(topic_partition)) as rows,
            ThreadPoolExecutor(1) as fetcher,
        ):
            coming = fetcher.submit(fetch)
            while (chunk := coming.result()) is not None:
                coming = fetcher.submit(fetch)
                yield chunk

    def projection(self) -> Iterator[ProjectedRow]:
        """All rows of fulfillment's own table."""
        return self._tables.projection()

    def _held(self) -> list[tuple[str, int]]:
        return [(one.topic, one.partition) for one in self.ranges]

    def _place(self, of: AuditedRange) -> TopicPartition:
        return TopicPartition(of.topic, of.partition)

    def _partition(self, topic_partition: TopicPartition) -> LogPartition | None:
        """The partition as the tables name it; None where analytics has not met the topic yet."""
        log_id = self._live.get(topic_partition.topic)
        return None if log_id is None else LogPartition(log_id, topic_partition.partition)

    def _last_stored(self, topic_partitions: Sequence[TopicPartition]) -> Mapping[LogPartition, int]:
        partitions = [
            partition for topic_partition in topic_partitions if (partition := self._partition(topic_partition))
        ]
        return self._tables.last_offsets(partitions, {log_id: topic for topic, log_id in self._live.items()})


def _stray(topic: str, sentence: str, partition: int | None = None, offset: int | None = None) -> Violation:
    return Violation(Coordinates("stored", topic, partition, offset), sentence)
