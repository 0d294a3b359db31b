"""Which committed offsets may be believed.

The offsets that one transaction commits for a partition number belong together: what lies below the input offsets is
done, and what proves the rest done lies above the output offset. One of them alone says nothing, and an administrator
can set each. So each carries the whole set as its metadata, and the set is believed while one offset stands where it
says. Every set that was ever committed stays right: what was done is done.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from shop.runtime.errors import UserError
from shop.runtime.hanging import NOTHING
from shop.runtime.log import Committed, TopicPartition, TopicState

FORMAT = "checkpoint-1"

log = structlog.get_logger()


class Position(NamedTuple):
    """An offset in the topic with this id."""

    topic_id: str
    offset: int


@dataclass(frozen=True)
class Checkpoint:
    """The offsets that one transaction committed for a partition number, by topic, and the checksum of the last event
    that was published there by then (``hanging.checksum``)."""

    partition: int
    published: str
    positions: Mapping[str, Position]

    def committed(self) -> dict[TopicPartition, Committed]:
        """What to commit: each offset with the whole set."""
        metadata = str(self)
        return {
            TopicPartition(topic, self.partition): Committed(position.offset, metadata)
            for topic, position in self.positions.items()
        }

    def without_claim(self) -> dict[TopicPartition, Committed]:
        """The offsets alone, from which nobody will go on: for a transaction that has to name them."""
        return {topic_partition: Committed(one.offset) for topic_partition, one in self.committed().items()}

    def __str__(self) -> str:
        positions = (f"{topic}:{topic_id}:{offset}" for topic, (topic_id, offset) in sorted(self.positions.items()))
        return " ".join((FORMAT, str(self.partition), self.published, *positions))


def parse(metadata: str) -> Checkpoint | None:
    """The checkpoint that an offset carries; None where it carries none."""
    try:
        kind, partition, published, *positions = metadata.split(" ")
        parts = [position.split(":") for position in positions]
        checkpoint = Checkpoint(
            int(partition), published, {topic: Position(topic_id, int(offset)) for topic, topic_id, offset in parts}
        )
    except ValueError:
        return None
    return checkpoint if kind == FORMAT and str(checkpoint) == metadata else None


@dataclass(frozen=True)
class BrokerState:
    """What the broker holds of one partition number, by topic: the group's committed offsets, the topics as they are
    now, and the offsets of the first record and behind the last one. ``output``: the topic that the service owns."""

    partition: int
    output: str
    committed: Mapping[str, Committed]
    topics: Mapping[str, TopicState]
    beginnings: Mapping[str, int]
    ends: Mapping[str, int]


@dataclass(frozen=True)
class Start:
    """Where the restore of a partition number begins to read, by topic. ``doubt`` names the committed offsets that
    somebody else has set, '' where there are none; ``believed``: a checkpoint is left of them. ``is_proved``: the
    records from there on tell of every trigger among them whether it is done."""

    offsets: Mapping[str, int]
    published: str = NOTHING
    doubt: str = ""
    believed: bool = True
    is_proved: bool = True


def start_of(broker: BrokerState, accept_loss: bool) -> Start:
    """Where to begin. Raises UserError where records that are needed are gone, unless ``accept_loss``."""
    checkpoint = _newest(broker)
    if checkpoint is None:
        nothing = not broker.committed
        never_published = broker.ends[broker.output] == 0
        return Start(
            offsets=broker.beginnings,
            doubt="" if nothing and never_published else _described(broker, broker.topics),
            believed=False,
            is_proved=accept_loss or broker.beginnings[broker.output] == 0,
        )
    recreated = {
        topic
        for topic, position in checkpoint.positions.items()
        if broker.topics[topic].topic_id != position.topic_id
    }
    for topic in sorted(recreated):
        log.error("topic was recreated: reading it from its start", topic=topic, partition=broker.partition)
    # What lies in an input that was recreated may have been done long ago, so all proof there is has to be read.
    from_beginning = recreated | ({broker.output} if recreated else set())
    moved = [
        topic
        for topic, position in checkpoint.positions.items()
        if topic not in recreated and broker.committed.get(topic) != Committed(position.offset, str(checkpoint))
    ]
    return Start(
        offsets={
            topic: broker.beginnings[topic]
            if topic in from_beginning
            else _kept(broker, topic, position.offset, accept_loss)
            for topic, position in checkpoint.positions.items()
        },
        published=checkpoint.published,
        doubt=_described(broker, moved) if moved else "",
    )


def _newest(broker: BrokerState) -> Checkpoint | None:
    """The latest checkpoint that is carried by an offset which stands where it says."""
    found = [
        checkpoint
        for topic, committed in broker.committed.items()
        if (checkpoint := parse(committed.metadata)) is not None
        and checkpoint.partition == broker.partition
        and checkpoint.positions.keys() == broker.topics.keys()
        and checkpoint.positions[topic] == Position(broker.topics[topic].topic_id, committed.offset)
    ]
    return max(found, key=lambda one: sum(position.offset for position in one.positions.values()), default=None)


def _described(broker: BrokerState, topics: Iterable[str]) -> str:
    found = {topic: str(broker.committed[topic].offset) if topic in broker.committed else "none" for topic in topics}
    return ", ".join(f"{topic}/{broker.partition}: {offset}" for topic, offset in found.items())


def _kept(broker: BrokerState, topic: str, offset: int, accept_loss: bool) -> int:
    """The offset, where the topic holds it still, or the nearest one that it does hold."""
    beginning, end = broker.beginnings[topic], broker.ends[topic]
    if beginning <= offset <= end:
        return offset
    lost = (
        f"{topic}/{broker.partition}: the committed offset {offset} is not in the topic any more, "
        f"which holds {beginning} to {end}"
    )
    if not accept_loss:
        raise UserError(f"{lost}; start once with --accept-loss to go on from what is there")
    log.error("loss accepted", gap=lost)
    return beginning if offset < beginning else end
