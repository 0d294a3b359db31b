"""The state of an assignment: what is read, from where, and how far it got. ``restore`` takes it from the
database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from analytics_service.ingest.bookmarks import Bookmark, bookmarks, log_ids, record_loss, register
from analytics_service.stored import LogPartition
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.admin import Admin
from shop.runtime.log import TopicPartition

log = structlog.get_logger()


class OffsetRange(NamedTuple):
    """What a partition holds: offsets from ``first`` up to, but not with, ``end`` (the high watermark)."""

    first: int
    end: int


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
class AssignmentState:
    """``generation`` tells it from all others; ``tables`` is the fact table of each log. ``cut_off``: partitions that
    do not reach up to where reading goes on."""

    generation: int
    topic_ids: dict[str, str]
    tables: dict[int, str]
    progress: dict[TopicPartition, PartitionProgress]
    cut_off: frozenset[TopicPartition]
    behind: int

    @property
    def readable(self) -> list[TopicPartition]:
        return [at for at in self.progress if at not in self.cut_off]


def restore(
    generation: int,
    assigned: Iterable[TopicPartition],
    topic_ids: dict[str, str],
    *,
    admin: Admin,
    engine: Engine,
    accept_loss: bool,
) -> AssignmentState:
    """The state of an assignment that goes on where the database stands.

    Raises UserError where that would silently skip something, unless ``accept_loss``: then the gap is recorded.
    Raises Unavailable or DBAPIError when the broker or the database does not answer.
    """
    held = sorted(assigned)
    for topic, _ in held:
        if topic not in topic_ids:
            raise Unavailable(f"topic {topic} is gone; it will be read when it is recreated")
    ranges, cluster_id = _ranges(admin, held), admin.cluster_id()
    with engine.begin() as connection:
        logs = log_ids(connection, cluster_id, topic_ids)
        tables = {log_id: topic for topic, log_id in logs.items()}
        partitions = {at: LogPartition(logs[at.topic], at.partition) for at in held}
        register(connection, partitions.values())
        bookmark_of = bookmarks(connection, partitions.values(), tables)
        progress = {}
        for at, partition in partitions.items():
            bookmark = bookmark_of[partition]
            start, gap = _start(at, ranges[at], bookmark, accept_loss)
            if gap is not None:
                log.error("loss accepted", topic=at.topic, partition=at.partition, first=gap[0], after=gap[1])
                record_loss(connection, partition, *gap)
            progress[at] = PartitionProgress(partition, bookmark.last, start, start)
    return AssignmentState(
        generation,
        topic_ids,
        tables,
        progress,
        cut_off=frozenset(at for at in held if progress[at].read > ranges[at].end),
        behind=sum(max(0, ranges[at].end - progress[at].read) for at in held),
    )


def _ranges(admin: Admin, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, OffsetRange]:
    first, end = admin.beginnings(partitions), admin.high_watermarks(partitions)
    return {at: OffsetRange(first[at], end[at]) for at in partitions}


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
