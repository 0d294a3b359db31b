"""The state of an assignment: the partitions held, what is known of them, and ``restore``, the one way to get there.

A rebalance, an abort, a fatal error, fencing, a time-out of unknown outcome and a topic recreated all end it. It is
dropped as a whole, and ``restore`` makes the next one from the log alone.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog

from shop.contract.events import Event
from shop.contract.rules import Rules
from shop.runtime.backoff import BackOff
from shop.runtime.checkpoint import BrokerState, Checkpoint, Position, Start, start_of
from shop.runtime.entity import Entity, Trigger
from shop.runtime.errors import Unavailable, UserError
from shop.runtime.hanging import HangingTransaction
from shop.runtime.limits import Limits
from shop.runtime.log import Committed, Log, Offsets, Record, TopicPartition, TopicState
from shop.runtime.partition import PartitionState
from shop.runtime.refusals import Refusals

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Between two tries of the projection, in seconds."""

log = structlog.get_logger()


@dataclass(eq=False)
class AssignmentState:
    """All state of the loop that a restore drops. ``live``: the fold is complete and decisions may be made."""

    output_topic: str
    input_topics: tuple[str, ...]
    topics: Mapping[str, TopicState] = field(default_factory=dict)
    partitions: dict[int, PartitionState] = field(default_factory=dict)
    live: bool = False
    committed: Mapping[TopicPartition, Committed] = field(default_factory=dict)
    committed_at: float = float("-inf")
    more_is_due: bool = False
    backpressure: bool = False
    arrived: list[tuple[int, Event]] = field(default_factory=list)
    """First events of new entities, each with the number of its partition, that are not published yet."""
    unprojected: list[tuple[Record, Entity]] = field(default_factory=list)
    hanging_aborted: bool = False
    """Whether hanging transactions in the output topic were looked for."""
    project_at: float | None = None
    """When to try the projection again; None while its database answers."""
    project_back_off: BackOff = field(default_factory=lambda: BackOff(FIRST_PAUSE, LONGEST_PAUSE))
    """Between two tries, since it was last brought up to date."""
    doubted: dict[int, tuple[int, list[Trigger]]] = field(default_factory=dict)
    """Per partition number: triggers in doubt, and the output end to read up to before they are judged."""
    _ready: deque[tuple[PartitionState, Trigger]] = field(default_factory=deque)
    """What was due when it was scheduled: most of what is decided in a hurry, and a queue is cheaper than a heap."""
    _timers: list[tuple[float, int, PartitionState, Trigger]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def schedule(self, partition: PartitionState, trigger: Trigger, elapsed: float) -> None:
        if trigger.due <= elapsed:
            self._ready.append((partition, trigger))
        else:
            heapq.heappush(self._timers, (trigger.due, next(self._order), partition, trigger))

    def due(self, elapsed: float) -> tuple[PartitionState, Trigger] | None:
        """Takes the next trigger whose time has come, the longest overdue of those that waited for it and of those
        that came too late to wait."""
        if self._timers:
            earliest = self._timers[0][0]
            if earliest <= elapsed and not (self._ready and self._ready[0][1].due <= earliest):
                _, _, partition, trigger = heapq.heappop(self._timers)
                return partition, trigger
        return self._ready.popleft() if self._ready else None

    @property
    def next_due(self) -> float | None:
        if self._ready:
            return float("-inf")
        return self._timers[0][0] if self._timers else None

    @property
    def pending(self) -> int:
        return sum(partition.pending for partition in self.partitions.values())

    @property
    def missing(self) -> int:
        """Output records to be read before anything may be decided."""
        return sum(partition.missing for partition in self.partitions.values())

    @property
    def hanging(self) -> dict[int, HangingTransaction]:
        """The hanging transaction that holds up each partition number, where there is one."""
        return {
            number: HangingTransaction(one.next, one.next + one.missing, one.published)
            for number, one in self.partitions.items()
            if one.is_held_up
        }

    @property
    def output_partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.output_topic, number) for number in self.partitions]

    @property
    def input_partitions(self) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in self.input_topics for number in self.partitions]

    @property
    def next(self) -> dict[TopicPartition, int]:
        """The next offset to be read of every partition held."""
        found = {}
        for number, partition in list(self.partitions.items()):
            found[TopicPartition(self.output_topic, number)] = partition.next
            found |= {TopicPartition(topic, number): source.next for topic, source in partition.inputs.items()}
        return found

    def trim(self) -> None:
        for partition in self.partitions.values():
            partition.trim()

    def offsets(self) -> dict[TopicPartition, Committed]:
        """What to store for every partition held."""
        offsets: dict[TopicPartition, Committed] = {}
        for number, partition in self.partitions.items():
            positions = {
                topic: Position(self.topics[topic].topic_id, offset) for topic, offset in partition.offsets()
            }
            checkpoint = Checkpoint(number, partition.published, positions)
            offsets |= checkpoint.committed() if partition.is_proved else checkpoint.without_claim()
        return offsets


def restore(
    source: Log, rules: Rules[Any], limits: Limits, accept_loss: bool, refusals: Refusals
) -> AssignmentState | None:
    """Restores from the log; None while the topics do not fit together. The order of the steps is what makes it
    safe; step 5, to decide nothing before every restore target is reached, is the loop's."""
    # 1. No predecessor in this slot can commit any more.
    source.init_transactions()
    assignment = AssignmentState(rules.topic, rules.inputs)
    numbers = _numbers(source, assignment)
    if numbers is None:
        return None
    held = [TopicPartition(topic, number) for number in numbers for topic in assignment.topics]
    # 2. A predecessor in another slot may still finish until this returns.
    committed = source.committed(held)
    # 3. Only now the ends: everything that anyone committed before lies below.
    targets = source.high_watermarks(held)
    beginnings = source.beginnings(held)
    try:
        starts = {
            number: start_of(_broker_state(number, assignment, committed, beginnings, targets), accept_loss)
            for number in numbers
        }
    except UserError:
        now = source.topics(fresh=True)
        if any(now.get(topic) != state for topic, state in assignment.topics.items()):
            raise Unavailable("a topic was recreated while its offsets were asked for") from None
        raise
    _say_doubts(starts)
    for number, start in starts.items():
        ends = {topic: targets[TopicPartition(topic, number)] for topic in assignment.topics}
        assignment.partitions[number] = PartitionState(
            number, rules, limits, start, ends, assignment.schedule, refusals
        )
    # 4. Explicit offsets; the inputs wait until the fold is complete.
    source.start(assignment.next)
    source.pause(assignment.input_partitions)
    log.info("reading the output topic", partitions=numbers, records=assignment.missing)
    return assignment


def _broker_state(
    number: int,
    assignment: AssignmentState,
    committed: Offsets,
    beginnings: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> BrokerState:
    topic_partitions = {topic: TopicPartition(topic, number) for topic in assignment.topics}
    return BrokerState(
        number,
        assignment.output_topic,
        {
            topic: committed[topic_partition]
            for topic, topic_partition in topic_partitions.items()
            if topic_partition in committed
        },
        assignment.topics,
        {topic: beginnings[topic_partition] for topic, topic_partition in topic_partitions.items()},
        {topic: ends[topic_partition] for topic, topic_partition in topic_partitions.items()},
    )


def _say_doubts(starts: Mapping[int, Start]) -> None:
    """Says which committed offsets somebody else has set or deleted, and what is done instead."""
    for believed, remedy in (
        (True, "going on at the last checkpoint that is left of them"),
        (False, "reading the topics from their start"),
    ):
        doubts = [start.doubt for start in starts.values() if start.doubt and start.believed is believed]
        if doubts:
            log.warning(f"committed offsets are not those that this service left: {remedy}", found="; ".join(doubts))


def _numbers(source: Log, assignment: AssignmentState) -> list[int] | None:
    """The partition numbers that are ours in all topics; None while it is not safe to act on any."""
    topics = source.topics(fresh=True)
    needed = (assignment.output_topic, *assignment.input_topics)
    counts = {topic: topics[topic].partitions if topic in topics else 0 for topic in needed}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        source.start({})
        log.warning("waiting: the topics must all exist and have equally many partitions", partitions=counts)
        return None
    assignment.topics = {topic: topics[topic] for topic in needed}
    assigned = source.assignment()
    return [
        number
        for number in range(counts[assignment.output_topic])
        if all(TopicPartition(topic, number) in assigned for topic in needed)
    ]
