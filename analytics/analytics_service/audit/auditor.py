"""The audit itself: one pass over all messages, each beside what the tables hold of it, then over all families."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

from analytics_service.audit.compaction import Compacted, Remains, is_compacting
from analytics_service.audit.entries import ProjectedRow, entry_of, entry_of_row, read
from analytics_service.audit.family import Family
from analytics_service.audit.history import TABLE_ROW, History
from analytics_service.audit.messages import (
    MESSAGE_RULES,
    AuditedRange,
    Chunk,
    Letter,
    Message,
    Pair,
    StoredRow,
    is_clean,
)
from analytics_service.audit.report import Coordinates, DeadLetters, Report, Violation
from analytics_service.audit.rules import FAMILY_RULES, FORGOTTEN_RULES, SetBack, Terms

RULES: Mapping[str, str] = {
    **{rule.__name__: " ".join((rule.__doc__ or "").split()) for rule in (*MESSAGE_RULES, *FAMILY_RULES)},
    "compaction": "No topic is compacted: every message is there until retention removes it.",
}
"""Every rule's sentence, by its name."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class AuditedShop(Protocol):
    """What is audited: the topics and both databases, as of one moment. Calls may raise Unavailable and UserError."""

    @property
    def now(self) -> int:
        """That moment, in milliseconds since 1970."""

    @property
    def ranges(self) -> Sequence[AuditedRange]:
        """What is read of each partition, grouped by topic."""

    @property
    def recreated(self) -> Mapping[str, int]:
        """Topics that had an earlier life, and when (in milliseconds) analytics first saw the present one."""

    @property
    def policies(self) -> Mapping[str, str]:
        """The cleanup.policy of each topic; one that may not be read is not in it."""

    @property
    def dead_letters(self) -> DeadLetters:
        """How many there are."""

    def strays(self) -> Iterator[Violation]:
        """Rows outside of all ranges that no message can stand behind."""

    def chunks(self, of: AuditedRange) -> Iterator[Chunk]:
        """All messages and all rows of a range."""

    def projection(self) -> Iterator[ProjectedRow]:
        """All rows of fulfillment's own table."""


def no_progress(_doing: str, _done: int, _total: int) -> None:
    """Tells nobody."""


@dataclass
class Horizon:
    """From when on the topics hold everything, per partition number: families that began before it are forgotten."""

    of_partition: dict[int, float] = field(default_factory=dict)
    _first_seen: dict[str, float] = field(default_factory=dict)

    def add(self, of: AuditedRange, first: int | None, seen_recreated: int | None) -> None:
        """Takes in a range and the time of its first message (None: it has none)."""
        if of.start > 0:
            self.raise_to(of.partition, float("inf") if first is None else first)
        if seen_recreated is not None:
            # The new topic existed when its first message came, and when analytics saw it.
            earlier = self._first_seen.get(of.topic, float(seen_recreated))
            self._first_seen[of.topic] = earlier if first is None else min(earlier, first)

    def close(self, partitions: set[int]) -> Mapping[int, float]:
        """The horizons, once every range was added."""
        for seen in self._first_seen.values():
            for partition in partitions:
                self.raise_to(partition, seen)
        return self.of_partition

    def raise_to(self, partition: int, to: float) -> None:
        """Forgets what began before this time."""
        self.of_partition[partition] = max(to, self.of_partition.get(partition, float("-inf")))


class Clock:
    """When the broker's clock was set back: in a partition its times never fall otherwise."""

    def __init__(self) -> None:
        self.set_back: list[SetBack] = []
        self._latest: dict[tuple[str, int], int] = {}

    def add(self, of: AuditedRange, messages: Sequence[Message]) -> None:
        """Takes in consecutive messages of a range."""
        times = [message.time for message in messages if message.broker_time]
        if not times:
            return
        times.insert(0, self._latest.get((of.topic, of.partition), times[0]))
        self._latest[of.topic, of.partition] = times[-1]
        if times != sorted(times):
            for before, after in pairwise(times):
                if after < before:
                    self._note(SetBack(before, after))

    def _note(self, new: SetBack) -> None:
        """What overlaps is one step, seen in several partitions."""
        apart = [one for one in self.set_back if one.before < new.after or new.before < one.after]
        same = [one for one in self.set_back if one not in apart] + [new]
        self.set_back = [*apart, SetBack(max(one.before for one in same), min(one.after for one in same))]


class Auditor:
    """Judges one source once, by ``terms``. What it finds is added to ``report``."""

    def __init__(self, source: AuditedShop, terms: Terms, report: Report, progress: Progress = no_progress) -> None:
        self._source = source
        self._terms = terms
        self._report = report
        self._progress = progress
        self._lag = 0
        self._compacted: dict[str, Compacted] = {}

    def run(self) -> None:
        began = time.monotonic()
        with History() as history:
            for row in self._source.projection():
                history.add(entry_of_row(row))
            self._read(history)
            self._judge(history)
        for violation in self._source.strays():
            self._report.add(violation)
        for topic, compacted in self._compacted.items():
            self._add("compaction", topic, None, None, compacted.sentence())
        self._report.dead_letters = self._source.dead_letters
        if self._lag:
            self._report.note(f"analytics has not come to {self._lag} messages yet")
        self._report.close(time.monotonic() - began)

    def _read(self, history: History) -> None:
        horizon, clock, ranges, recreated = Horizon(), Clock(), self._source.ranges, self._source.recreated
        total, done = sum(one.end - one.start for one in ranges), 0
        for one in ranges:
            first: int | None = None
            remains = Remains(one)
            for chunk in self._source.chunks(one):
                if first is None and chunk.messages:
                    first = chunk.messages[0].time
                clock.add(one, chunk.messages)
                self._compare(one, chunk, history, remains)
                self._report.messages += len(chunk.messages)
                if chunk.messages:
                    read = done + chunk.messages[-1].offset + 1 - one.start
                    self._progress(f"reading {one.topic}/{one.partition}", read, total)
            done += one.end - one.start
            horizon.add(one, first, recreated.get(one.topic))
            self._explain(remains, horizon)
            if one.end < one.high_watermark:
                self._hidden(one)
        if total:
            self._progress("reading", total, total)
        horizons = horizon.close({one.partition for one in ranges})
        self._terms = replace(self._terms, horizons=horizons, set_back=clock.set_back)
        for back in clock.set_back:
            seconds = (back.before - back.after) / 1000
            self._report.note(f"the broker's clock was set back by {seconds:,.1f} s: no cause is judged across that")
        shortened = sum(one.start > 0 for one in ranges)
        if shortened:
            self._report.note(f"{shortened} partitions do not hold their first messages any more")
        for topic in recreated:
            self._report.note(f"topic {topic} was deleted and recreated; the rows of its earlier life are not judged")

    def _hidden(self, one: AuditedRange) -> None:
        sentence = f"an open transaction hides offsets {one.end} to {one.high_watermark - 1}: they are not audited"
        self._report.note(f"{one.topic}/{one.partition}: {sentence}")
        if self._terms.settled:
            self._add("settled", one.topic, one.partition, one.end, sentence)

    def _explain(self, remains: Remains, horizon: Horizon) -> None:
        """Names compaction as the cause where it is one, and else each row that it would have explained."""
        of, policy = remains.of, self._source.policies.get(remains.of.topic)
        if is_compacting(policy) or remains.show_compaction():
            self._compacted.setdefault(of.topic, Compacted(policy)).gone += len(remains.gone)
            horizon.raise_to(of.partition, remains.until())
            return
        for offset, is_row in remains.gone:
            row, letter = (StoredRow(0, ""), None) if is_row else (None, Letter(None, None, None))
            self._examine(of, offset, Pair(None, None, row, None, letter, True))

    def _compare(self, of: AuditedRange, chunk: Chunk, history: History, remains: Remains) -> None:
        rows, letters = chunk.rows, chunk.letters
        met = 0
        for message in chunk.messages:
            offset = message.offset
            event = read(of.topic, message.value)
            remains.add(message, event)
            if not isinstance(event, str):
                history.add(entry_of(event, message, of))
            row, letter = rows.get(offset), letters.get(offset)
            met += (row is not None) + (letter is not None)
            stored = None if row is None else read(of.topic, row.value)
            pair = Pair(message, event, row, stored, letter, offset < of.unstored or self._terms.settled)
            if not is_clean(pair):
                self._examine(of, offset, pair)
        if met < len(rows) + len(letters):
            offsets = {message.offset for message in chunk.messages}
            for offset in sorted((rows.keys() | letters.keys()) - offsets):
                if remains.covers(offset):
                    remains.gone.append((offset, offset in rows))
                else:
                    self._examine(of, offset, Pair(None, None, rows.get(offset), None, letters.get(offset), True))

    def _examine(self, of: AuditedRange, offset: int, pair: Pair) -> None:
        if any(first <= offset < end for first, end in of.lost):
            # A person knows that these are not stored; rows here are of messages that the topic gave way to new ones.
            pair = pair._replace(row=None, stored=None, letter=None, due=False)
        elif pair.message is not None and offset >= of.unstored:
            self._lag += 1
        for rule in MESSAGE_RULES:
            for sentence in rule(pair):
                self._add(rule.__name__, of.topic, of.partition, offset, sentence)

    def _judge(self, history: History) -> None:
        forgotten = 0
        for number, entries in enumerate(history.families(), 1):
            family = Family(entries)
            rules = FAMILY_RULES
            if self._terms.forgotten(family):
                forgotten += 1
                rules = FORGOTTEN_RULES
            for rule in rules:
                for entry, sentence in rule(family, self._terms):
                    if entry.flags & TABLE_ROW:
                        self._add(rule.__name__, entry.topic, None, None, sentence)
                    else:
                        self._add(rule.__name__, entry.topic, entry.partition, entry.offset, sentence)
            if number % 50_000 == 0:
                self._progress(f"judging {number} checkouts", number, 0)
        if forgotten:
            self._report.note(f"{forgotten} checkouts began before what the topics still hold and are forgotten")

    def _add(self, rule: str, topic: str, partition: int | None, offset: int | None, sentence: str) -> None:
        self._report.add(Violation(Coordinates(rule, topic, partition, offset), sentence))
