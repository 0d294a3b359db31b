"""One reading: what is read, from where, and how far it got. It begins at what the database says."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine

from analytics_service.ingest.bookmarks import Bookmark, bookmarks, log_ids, record_loss, register
from analytics_service.kafka import Broker, OffsetRange
from analytics_service.streams import LogPartition, Streams, TopicPartition
from shop.runtime.errors import Unavailable, UserError

log = structlog.get_logger()


@dataclass(slots=True)
class PartitionProgress:
    """How far one partition is read.

    ``last``    the offset of the last message handed on, before any the last one stored; -1: none
    ``read``    the offset to read next
    ``stored``  everything below it is stored
    ``end``     the offset behind everything, when the partition was last read up to its end
    """

    partition: LogPartition
    last: int
    read: int
    stored: int
    end: int = 0

    @property
    def done(self) -> int:
        """The offset that the group has done with: behind a transaction marker at the end, too."""
        return max(self.stored, self.end) if self.stored == self.read else self.stored


@dataclass(frozen=True)
class Reading:
    """``generation`` tells it from all others; ``tables`` is the fact table of each log. ``cut_off``: partitions that
    do not reach up to where reading goes on."""

    generation: int
    topic_ids: dict[str, str]
    tables: dict[int, str]
    progress: dict[TopicPartition, PartitionProgress]
    cut_off: frozenset[TopicPartition]
    behind: int


def begin(
    generation: int,
    topic_partitions: Sequence[TopicPartition],
    *,
    broker: Broker,
    engine: Engine,
    streams: Streams,
    accept_loss: bool,
) -> Reading:
    """The reading that goes on where the database stands.

    Raises UserError where that would silently skip something, unless ``accept_loss``: then the gap is recorded.
    Raises Unavailable or DBAPIError when the broker or the database does not answer.
    """
    topic_ids = broker.topic_ids()
    for topic_partition in topic_partitions:
        if topic_partition.topic not in topic_ids:
            raise Unavailable(f"topic {topic_partition.topic} is gone; it will be read when it is recreated")
    held = broker.ranges(topic_partitions)
    names = {topic: streams.table(topic) for topic in topic_ids}
    with engine.begin() as connection:
        logs = log_ids(connection, broker.cluster_id(), topic_ids, names)
        tables = {log_id: names[topic] for topic, log_id in logs.items()}
        partitions = {
            topic_partition: LogPartition(logs[topic_partition.topic], topic_partition.partition)
            for topic_partition in topic_partitions
        }
        register(connection, partitions.values())
        bookmark_of = bookmarks(connection, partitions.values(), tables)
        progress = {}
        for topic_partition, partition in partitions.items():
            bookmark = bookmark_of[partition]
            start, gap = _start(topic_partition, held[topic_partition], bookmark, accept_loss)
            if gap is not None:
                log.error(
                    "loss accepted",
                    topic=topic_partition.topic,
                    partition=topic_partition.partition,
                    first=gap[0],
                    after=gap[1],
                )
                record_loss(connection, partition, *gap)
            progress[topic_partition] = PartitionProgress(partition, bookmark.last, start, start)
    return Reading(
        generation,
        topic_ids,
        tables,
        progress,
        cut_off=frozenset(
            topic_partition
            for topic_partition in topic_partitions
            if progress[topic_partition].read > held[topic_partition].end
        ),
        behind=sum(
            max(0, held[topic_partition].end - progress[topic_partition].read) for topic_partition in topic_partitions
        ),
    )


def _start(
    topic_partition: TopicPartition, held: OffsetRange, bookmark: Bookmark, accept_loss: bool
) -> tuple[int, tuple[int, int] | None]:
    """Where to go on in a partition, and the range of offsets that is lost by it."""
    resume = held.first if bookmark.resume is None else bookmark.resume
    if held.first <= resume <= held.end or resume == bookmark.accepted:
        return resume, None
    if resume < held.first:
        start, gap, cause = held.first, (resume, held.first), "retention removed them before they were stored"
    else:
        start, gap, cause = resume, (held.end, resume), "the topic was cut off, and gives them to new messages"
    if accept_loss:
        return start, gap
    raise UserError(
        f"{topic_partition.topic} partition {topic_partition.partition} holds offsets {held.first} to "
        f"{held.end - 1}, and the database goes on at {resume}: offsets {gap[0]} to {gap[1] - 1} would not be "
        f"stored ({cause}); to go on without them, start with --accept-loss or ACCEPT_LOSS=1"
    )
