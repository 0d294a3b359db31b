"""What a person, or another tool, may do to a group's committed offsets while no member is there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shop.runtime.log import Committed, Offsets, TopicPartition


@dataclass(frozen=True)
class Situation:
    """What is there to begin with: the offsets that the service left, those that it left some time before, and where
    each partition ends. ``output`` is the topic that it publishes to."""

    output: str
    committed: Offsets
    earlier: Offsets
    ends: Mapping[TopicPartition, int]

    def changed(self, change: Callable[[TopicPartition, Committed], Committed | None]) -> Offsets:
        """The offsets as ``change`` makes them, one by one; None deletes."""
        changed = {
            topic_partition: change(topic_partition, committed)
            for topic_partition, committed in self.committed.items()
        }
        return {topic_partition: committed for topic_partition, committed in changed.items() if committed is not None}

    def only(self, topic: str, change: Callable[[TopicPartition, Committed], Committed | None]) -> Offsets:
        """The same in one topic."""
        return self.changed(
            lambda topic_partition, now: change(topic_partition, now) if topic_partition.topic == topic else now
        )


def _inputs(now: Situation) -> list[str]:
    return sorted({topic_partition.topic for topic_partition in now.committed} - {now.output})


def _other(now: Situation, topic_partition: TopicPartition) -> Committed:
    """The offset of the next partition of the same topic."""
    numbers = sorted(one.partition for one in now.committed if one.topic == topic_partition.topic)
    return now.committed[topic_partition._replace(partition=numbers[(topic_partition.partition + 1) % len(numbers)])]


TAMPERINGS: Mapping[str, Callable[[Situation], Offsets]] = {
    "first input reset to the earliest": lambda now: now.only(_inputs(now)[0], lambda *_: Committed(0)),
    "last input reset to the earliest": lambda now: now.only(_inputs(now)[-1], lambda *_: Committed(0)),
    "all reset to the earliest": lambda now: now.changed(lambda *_: Committed(0)),
    "all reset to the earliest, our metadata kept": lambda now: now.changed(lambda _, it: it._replace(offset=0)),
    "first input reset to the latest": lambda now: now.only(
        _inputs(now)[0], lambda topic_partition, _: Committed(now.ends[topic_partition])
    ),
    "output reset to the latest": lambda now: now.only(
        now.output, lambda topic_partition, _: Committed(now.ends[topic_partition])
    ),
    "all reset to the latest": lambda now: now.changed(
        lambda topic_partition, _: Committed(now.ends[topic_partition])
    ),
    "all beyond the end": lambda now: now.changed(
        lambda topic_partition, _: Committed(now.ends[topic_partition] + 1000)
    ),
    "first input deleted": lambda now: now.only(_inputs(now)[0], lambda *_: None),
    "inputs deleted": lambda now: now.changed(
        lambda topic_partition, it: it if topic_partition.topic == now.output else None
    ),
    "output deleted": lambda now: now.only(now.output, lambda *_: None),
    "group deleted": lambda now: now.changed(lambda *_: None),
    "partition 0 deleted": lambda now: now.changed(
        lambda topic_partition, it: None if topic_partition.partition == 0 else it
    ),
    "shifted forward": lambda now: now.changed(
        lambda topic_partition, it: Committed(min(it.offset + 2, now.ends[topic_partition]))
    ),
    "shifted back": lambda now: now.changed(lambda _, it: Committed(max(0, it.offset - 2))),
    "shifted forward, our metadata kept": lambda now: now.changed(
        lambda topic_partition, it: it._replace(offset=min(it.offset + 1, now.ends[topic_partition]))
    ),
    "reset to where they stood": lambda now: now.changed(lambda _, it: Committed(it.offset)),
    "metadata of another tool": lambda now: now.changed(lambda _, it: Committed(it.offset, '{"by": "another tool"}')),
    "metadata cut short": lambda now: now.changed(lambda _, it: Committed(0, it.metadata[:-1])),
    "output restored from a backup": lambda now: now.only(
        now.output, lambda topic_partition, _: now.earlier[topic_partition]
    ),
    "an input restored from a backup": lambda now: now.only(
        _inputs(now)[0], lambda topic_partition, _: now.earlier[topic_partition]
    ),
    "all restored from a backup": lambda now: now.earlier,
    "offsets of another partition": lambda now: now.changed(lambda topic_partition, _: _other(now, topic_partition)),
}
