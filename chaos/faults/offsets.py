"""What an administrator does to the committed offsets of a group that has no members for a moment."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import confluent_kafka as ck
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from chaos.faults.fault import Fault
from chaos.stage import REPLY, Stage, wait_until

EMPTY_SECONDS = 15.0
"""Within which a group has no members any more whose processes have ended."""
SHIFT = 500

WAYS: Mapping[str, Callable[[int, int], int | None]] = {
    "reset to the earliest": lambda _offset, _end: 0,
    "reset to the latest": lambda _offset, end: end,
    "shifted forward": lambda offset, end: min(offset + SHIFT, end),
    "shifted back": lambda offset, _end: max(0, offset - SHIFT),
    "set to where they stood": lambda offset, _end: offset,
    "deleted": lambda _offset, _end: None,
}
"""What becomes of an offset, given where its partition ends; None: it is gone."""


@dataclass(frozen=True)
class ChangeOffsets(Fault):
    """The instances of a service end, its offsets are changed in one topic or in all that it reads, and the instances
    start again. Where its output topic was recreated, one topic is left as it is: what was done in the former life of
    a topic is told by nothing else."""

    group: str
    way: str
    topic: str | None

    def __str__(self) -> str:
        return f"offsets of group {self.group} {self.way} ({self.topic or 'all topics'})"

    @property
    def judged(self) -> list[str]:
        return [self.group]

    def strike(self, stage: Stage) -> None:
        instances = [one for (service, _), one in stage.instances.items() if service == self.group]
        for one in instances:
            one.hold()
            one.send(signal.SIGCONT)
            one.send(signal.SIGTERM)
        for one in instances:
            one.until_ended(EMPTY_SECONDS)
        try:
            self._change(stage)
        finally:
            for one in instances:
                one.release()

    def _change(self, stage: Stage) -> None:
        admin = stage.admin()
        (answer,) = admin.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(self.group)]).values()
        offsets = answer.result(REPLY).topic_partitions
        ends = {
            (topic_partition.topic, topic_partition.partition): future.result(REPLY).offset
            for topic_partition, future in admin.list_offsets(
                {ck.TopicPartition(one.topic, one.partition): OffsetSpec.latest() for one in offsets}  # type: ignore[no-untyped-call]
            ).items()
        }
        topic = self.topic or (self.group if stage.record.was_recreated(self.group) else None)
        kept = [one for one in offsets if topic not in {None, one.topic}]
        for one in offsets:
            changed = WAYS[self.way](one.offset, ends[one.topic, one.partition])
            if topic in {None, one.topic} and changed is not None:
                kept.append(ck.TopicPartition(one.topic, one.partition, changed))
        # Refused as long as the broker still counts a member.
        if not wait_until(
            lambda: admin.delete_consumer_groups([self.group])[self.group].exception(REPLY) is None, EMPTY_SECONDS
        ):
            raise RuntimeError(f"group {self.group} does not become empty")
        if kept:
            (altered,) = admin.alter_consumer_group_offsets(
                [ck.ConsumerGroupTopicPartitions(self.group, kept)]
            ).values()
            altered.result(REPLY)
