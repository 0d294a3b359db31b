"""A broker in memory behind the runtime's port: offsets, transactions with markers, a group with generations.

The behaviour suite runs on this and on the real broker, so what it allows itself is checked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shop.runtime.errors import TransactionFailed, Unavailable
from shop.runtime.hanging import HangingTransaction, may_be_aborted
from shop.runtime.log import (
    Batch,
    Committed,
    CommittedTransaction,
    End,
    Offsets,
    Outgoing,
    Record,
    TopicPartition,
    TopicState,
)

TRANSACTION_SECONDS = 10.0


class FakeClock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def unix(self) -> float:
        return self.now

    def elapsed(self) -> float:
        return self.now - 1_000.0


class Crash(BaseException):
    """The process is gone: nothing after the point where this is raised has happened."""


@dataclass(eq=False)
class Transaction:
    slot: str
    began: float
    open: bool = True
    aborted: bool = False
    hangs: bool = False
    """It is over for the broker, which has left its end out of the partitions."""
    touched: set[TopicPartition] = field(default_factory=set)
    group: str = ""
    offsets: dict[TopicPartition, Committed] = field(default_factory=dict)

    @property
    def is_under_way(self) -> bool:
        return self.open and not self.hangs


@dataclass(eq=False)
class Entry:
    record: Record | None
    transaction: Transaction | None


@dataclass(eq=False)
class Group:
    members: list[str] = field(default_factory=list)
    generation: int = 0
    offsets: dict[TopicPartition, Committed] = field(default_factory=dict)


class FakeBroker:
    def __init__(self, clock: FakeClock, topics: Iterable[str], partitions: int) -> None:
        self.clock = clock
        self.clock_error = 0.0
        """By how much the broker's clock, and so its time stamps, are wrong."""
        self.partitions = dict.fromkeys(topics, partitions)
        self.topic_ids = {topic: f"{topic}-1" for topic in self.partitions}
        self.entries: dict[TopicPartition, list[Entry]] = {}
        self.beginnings: dict[TopicPartition, int] = {}
        self.groups: dict[str, Group] = {}
        self.epochs: dict[str, int] = {}
        self.transactions: list[Transaction] = []

    def log(self, topic_partition: TopicPartition) -> list[Entry]:
        return self.entries.setdefault(topic_partition, [])

    def append(
        self,
        topic_partition: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        transaction: Transaction | None = None,
    ) -> int:
        log = self.log(topic_partition)
        log.append(
            Entry(Record(*topic_partition, len(log), self.clock.unix() + self.clock_error, key, value), transaction)
        )
        if transaction is not None:
            transaction.touched.add(topic_partition)
        return len(log) - 1

    def last_stable_offset(self, topic_partition: TopicPartition) -> int:
        for offset, entry in enumerate(self.log(topic_partition)):
            if entry.transaction is not None and entry.transaction.open:
                return offset
        return len(self.log(topic_partition))

    def committed_records(self, topic: str) -> list[Record]:
        """What a read_committed consumer sees of a topic."""
        topic_partitions = [TopicPartition(topic, number) for number in range(self.partitions[topic])]
        return [
            entry.record
            for topic_partition in topic_partitions
            for entry in self.log(topic_partition)[
                self.beginnings.get(topic_partition, 0) : self.last_stable_offset(topic_partition)
            ]
            if entry.record is not None and not (entry.transaction and entry.transaction.aborted)
        ]

    def begin(self, slot: str) -> Transaction:
        self.transactions.append(Transaction(slot, self.clock.unix()))
        return self.transactions[-1]

    def end(self, transaction: Transaction, commit: bool) -> None:
        transaction.open, transaction.aborted = False, not commit
        for topic_partition in transaction.touched:
            self.log(topic_partition).append(Entry(None, None))
        if commit and transaction.offsets:
            self.groups[transaction.group].offsets.update(transaction.offsets)

    def abort_expired(self) -> None:
        for transaction in self.transactions:
            if transaction.is_under_way and self.clock.unix() - transaction.began > TRANSACTION_SECONDS:
                self.epochs[transaction.slot] = self.epochs.get(transaction.slot, 0) + 1
                self.end(transaction, commit=False)

    def fence(self, slot: str) -> int:
        """init_transactions: a predecessor's open transaction is aborted, and it may not go on."""
        for transaction in self.transactions:
            if transaction.is_under_way and transaction.slot == slot:
                self.end(transaction, commit=False)
        self.epochs[slot] = self.epochs.get(slot, 0) + 1
        return self.epochs[slot]

    def join(self, group_name: str, slot: str) -> None:
        group = self.groups.setdefault(group_name, Group())
        if slot not in group.members:
            group.members.append(slot)
            group.generation += 1

    def leave(self, group_name: str, slot: str) -> None:
        """The session timed out."""
        group = self.groups[group_name]
        if slot in group.members:
            group.members.remove(slot)
            group.generation += 1

    def recreate(self, topic: str) -> None:
        """Deletes a topic, and with it what groups have committed for it, and creates it again."""
        self.topic_ids[topic] = f"{topic}-{int(self.topic_ids[topic].rsplit('-', 1)[1]) + 1}"
        for number in range(self.partitions[topic]):
            self.entries[TopicPartition(topic, number)] = []
            self.beginnings.pop(TopicPartition(topic, number), None)
            for group in self.groups.values():
                group.offsets.pop(TopicPartition(topic, number), None)


class FakeLog:
    """One member of a group. ``at`` is called with the name of each point of a transaction; it may raise Crash.
    A poll gives ``fetch_size`` records at most."""

    def __init__(
        self,
        broker: FakeBroker,
        group: str,
        slot: str,
        own: str,
        inputs: Sequence[str],
        at: Callable[[str], None] = lambda _point: None,
        fetch_size: Callable[[], int] = lambda: 1000,
    ) -> None:
        self.broker, self.group, self.slot, self.own = broker, group, f"{group}-{slot}", own
        self.topics_used = (own, *inputs)
        self.at = at
        self.fetch_size = fetch_size
        self._generation = -1
        self._epoch = -1
        self._failed = True
        self._under_way: tuple[Transaction, CommittedTransaction, int] | None = None
        self._transaction = Transaction("", 0.0)
        self._began_in = -1
        self._published = 0
        self._next: dict[TopicPartition, int] = {}
        self._ended: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._served: dict[TopicPartition, int] = {}
        broker.join(group, self.slot)

    def poll(self, max_records: int, timeout: float) -> Batch:  # noqa: ARG002 (the clock stands still here)
        self.broker.abort_expired()
        self.at("poll")
        group = self.broker.groups[self.group]
        if self.slot not in group.members:
            self.broker.join(self.group, self.slot)
        if group.generation != self._generation:
            self._generation = group.generation
            self._next = {}
            return Batch([], [], True)
        records: list[Record] = []
        ends: list[End] = []
        max_records = min(max_records, self.fetch_size())
        # The partition that gave records last comes last: none starves.
        ready = sorted(self._next.keys() - self._paused)
        for topic_partition in sorted(ready, key=lambda topic_partition: self._served.get(topic_partition, 0)):
            log, stable = self.broker.log(topic_partition), self.broker.last_stable_offset(topic_partition)
            assert self._next[topic_partition] >= self.broker.beginnings.get(topic_partition, 0), (
                "the real one is loud about it"
            )
            while self._next[topic_partition] < stable and len(records) < max_records:
                entry = log[self._next[topic_partition]]
                self._next[topic_partition] += 1
                if entry.record is not None and not (entry.transaction and entry.transaction.aborted):
                    records.append(entry.record)
                    self._served[topic_partition] = 1 + max(self._served.values(), default=0)
            if self._next[topic_partition] >= stable and self._ended.get(topic_partition) != stable:
                self._ended[topic_partition] = stable
                ends.append(End(*topic_partition, stable))
        return Batch(records, ends, False)

    def assignment(self) -> frozenset[TopicPartition]:
        members = sorted(self.broker.groups[self.group].members)
        rank, size = members.index(self.slot), len(members)
        mine = set()
        for topic in self.topics_used:
            count = self.broker.partitions[topic]
            first = rank * (count // size) + min(rank, count % size)
            share = count // size + (rank < count % size)
            mine |= {TopicPartition(topic, number) for number in range(first, first + share)}
        return frozenset(mine)

    def topics(self, fresh: bool = False) -> Mapping[str, TopicState]:  # noqa: ARG002 (nothing is old here)
        return {
            topic: TopicState(self.broker.topic_ids[topic], self.broker.partitions[topic])
            for topic in self.topics_used
        }

    def init_transactions(self) -> None:
        with suppress(TransactionFailed):
            self.await_commit()
        if self._failed:
            self._epoch = self.broker.fence(self.slot)
            self._failed = False

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, Committed]:
        self.at("committed offsets")
        self.broker.abort_expired()
        wanted = set(partitions)
        for transaction in self.broker.transactions:
            if transaction.open and transaction.group == self.group and wanted & transaction.offsets.keys():
                raise Unavailable("offsets are not stable yet")
        stored = self.broker.groups[self.group].offsets
        return {topic_partition: stored[topic_partition] for topic_partition in wanted if topic_partition in stored}

    def beginnings(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {topic_partition: self.broker.beginnings.get(topic_partition, 0) for topic_partition in partitions}

    def high_watermarks(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {topic_partition: len(self.broker.log(topic_partition)) for topic_partition in partitions}

    def start(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._next, self._paused, self._ended = dict(offsets), set(), {}

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused -= set(partitions)

    def begin(self) -> None:
        assert not self._failed, "init_transactions must follow a failure"
        assert self._under_way is None, "await_commit must follow a commit"
        self._failed, self._published = True, 0
        self._transaction, self._began_in = self.broker.begin(self.slot), self._generation
        self._check_epoch(self._transaction)

    def publish(self, message: Outgoing) -> None:
        partition, key, value = message
        self.broker.append(TopicPartition(self.own, partition), key.encode(), value, self._transaction)
        self._published += 1

    def commit(self, offsets: Offsets) -> None:
        done = CommittedTransaction(self._published, offsets, 0.0)
        self._under_way = self._transaction, done, self._began_in

    def await_commit(self) -> CommittedTransaction | None:
        """Here the broker works on a transaction only when it is asked for the outcome: as late as can be."""
        if self._under_way is None:
            return None
        (transaction, done, generation), self._under_way = self._under_way, None
        self.at("after produce before offsets")
        self._check_epoch(transaction)
        group = self.broker.groups[self.group]
        # Like the real one: without offsets nobody looks at the generation.
        if done.offsets and (group.generation != generation or self.slot not in group.members):
            self.broker.end(transaction, commit=False)
            raise TransactionFailed("fenced by the group")
        transaction.group, transaction.offsets = self.group, dict(done.offsets)
        self.at("after offsets before commit")
        self._check_epoch(transaction)
        self.broker.end(transaction, commit=True)
        self.at("after commit")
        self._failed = False
        return done

    def abort_hanging(self, hanging: Mapping[int, HangingTransaction]) -> None:
        for number, (start, end, published) in hanging.items():
            entries = self.broker.log(TopicPartition(self.own, number))[start:end]
            values = [one.record.value or b"" for one in entries if one.record is not None]
            if may_be_aborted(published, values):
                for transaction in {one.transaction for one in entries if one.transaction is not None}:
                    if transaction.open and transaction.slot == self.slot:
                        self.broker.end(transaction, commit=False)

    def _check_epoch(self, transaction: Transaction) -> None:
        if self.broker.epochs[self.slot] != self._epoch:
            if transaction.open:
                self.broker.end(transaction, commit=False)
            raise TransactionFailed("fenced by a newer producer")
