"""The port through which the runtime sees Kafka: a partitioned log with transactions and one consumer group.

``shop.runtime.kafka.log`` is the real one; the tests have a second one in memory, held to the same behaviour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from shop.runtime.hanging import HangingTransaction


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Record(NamedTuple):
    """A committed message. ``timestamp`` is the broker's, in seconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None


class Outgoing(NamedTuple):
    """A message for the output topic."""

    partition: int
    key: str
    value: bytes


class End(NamedTuple):
    """Everything below ``offset`` has been read: there is nothing more in the partition for now."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll gave, in the order of each partition's log."""

    records: Sequence[Record]
    ends: Sequence[End]
    reassigned: bool
    """The group gave or took partitions meanwhile: nothing of this batch may be used."""


class Committed(NamedTuple):
    """A group's committed offset and its metadata, '' where it has none; who commits it may say anything there."""

    offset: int
    metadata: str = ""


Offsets = Mapping[TopicPartition, Committed]


class CommittedTransaction(NamedTuple):
    """A transaction that was committed: how many events, which offsets, and how long it was open."""

    events: int
    offsets: Offsets
    seconds: float


class TopicState(NamedTuple):
    """A topic as the broker describes it now. A topic that was deleted and recreated has another id."""

    topic_id: str
    partitions: int


class Log(Protocol):
    """Every call may block for a bounded time (seconds) and may raise Unavailable or UserError."""

    def poll(self, max_records: int, timeout: float) -> Batch:
        """Up to ``max_records`` records, waiting at most ``timeout`` seconds for the first."""

    def assignment(self) -> frozenset[TopicPartition]:
        """What the group has given to this member."""

    def topics(self, fresh: bool = False) -> Mapping[str, TopicState]:
        """The topics as of a few seconds ago at most, without blocking; or ``fresh``, as of now. One that does not
        exist is missing."""

    def init_transactions(self) -> None:
        """Makes the transactional producer usable, a new one where it failed: afterwards no transaction of
        ours is under way, none of a predecessor in this slot is open, and none of it can be committed any more."""

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        """The stable committed offsets: waits for transactions that are still about to change them (KIP-447).
        A partition without a committed offset is missing."""

    def beginnings(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The first offset that each partition still holds."""

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The read-uncommitted end of each partition: it counts records behind an open transaction too."""

    def start(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Reads on from exactly these offsets, these partitions and no others; none of them is paused."""

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Gives no records of these until ``resume``."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """The reverse of ``pause``."""

    def begin(self) -> None:
        """Begins a transaction. This and the next two calls raise TransactionFailed when it failed already;
        ``init_transactions`` must follow then."""

    def publish(self, message: Outgoing) -> None:
        """Sends a message to the output topic, as part of the transaction that was begun."""

    def commit(self, offsets: Offsets) -> None:
        """Begins to commit the transaction: all that was published, and the group's offsets, or neither. Does not
        wait for it: ``await_commit`` must follow."""

    def abort_hanging(self, hanging: Mapping[int, HangingTransaction]) -> None:
        """Aborts the hanging transactions of this slot in these partitions of the output topic, unless their offsets
        are committed. Those of anybody else stay as they are."""

    def await_commit(self) -> CommittedTransaction | None:
        """Waits for the transaction that ``commit`` ends; None when there is none.

        Raises TransactionFailed when it did not happen or nobody knows; ``init_transactions`` must follow then.
        """
