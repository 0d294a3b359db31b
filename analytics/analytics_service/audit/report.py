"""What an audit found: per rule the number of violations and the first of them; and what was expected to be found."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

from rich.console import Console
from rich.table import Table

from shop.contract.lifecycle import TOPICS
from shop.edges.files import read_text
from shop.runtime.errors import UserError

KEPT = 100
"""Violations kept per rule; all of them are counted."""
SHOWN = 5
"""Violations printed per rule."""
UNMET = "expected"
UNMET_SENTENCE = "Every violation that was injected on purpose is found."
EXPECTATION_FIELDS = ("rule", "topic", "partition", "offset")


class Coordinates(NamedTuple):
    """Which rule is broken, and where. A row that no message stands behind has no partition and no offset."""

    rule: str
    topic: str
    partition: int | None
    offset: int | None

    def topic_partition(self) -> str:
        return self.topic if self.partition is None else f"{self.topic}/{self.partition}@{self.offset}"


class Violation(NamedTuple):
    """One thing that is wrong, in one sentence."""

    coordinates: Coordinates
    sentence: str


class DeadLetters(NamedTuple):
    """How many messages are put away as no valid event; ``unsettled``: ``make redrive`` has not stored them since."""

    total: int = 0
    unsettled: int = 0

    def sentence(self) -> str:
        """What to tell of them, and what to do."""
        count = "1 dead letter" if self.total == 1 else f"{self.total:,} dead letters"
        if not self.unsettled:
            return f"{count}, settled"
        return f"{count}, {self.unsettled:,} unsettled: mend the cause, then make redrive"


@dataclass
class Finding:
    """One rule's sentence and what was found to break it: every violation counts, the first ``KEPT`` are kept."""

    sentence: str
    count: int = 0
    violations: list[Violation] = field(default_factory=list)


class Report:
    """The outcome of one audit. What ``expected`` names is no violation when found, and one when not."""

    def __init__(self, rules: Iterable[tuple[str, str]], expected: Iterable[Coordinates] = ()) -> None:
        self.findings = {name: Finding(sentence) for name, sentence in rules}
        self.notes: list[str] = []
        self.messages = 0
        self.seconds = 0.0
        self.dead_letters = DeadLetters()
        self._expected = frozenset(expected)
        self._missing = set(self._expected)
        if self._expected:
            self.findings[UNMET] = Finding(UNMET_SENTENCE)

    def add(self, violation: Violation) -> None:
        """Counts a violation, unless it was expected."""
        if violation.coordinates in self._expected:
            self._missing.discard(violation.coordinates)
            return
        finding = self.findings[violation.coordinates.rule]
        finding.count += 1
        if finding.count <= KEPT:
            finding.violations.append(violation)

    def note(self, sentence: str) -> None:
        """Something to know that is no violation."""
        self.notes.append(sentence)

    def close(self, seconds: float) -> None:
        """Nothing more will be found: what was expected and is missing becomes a violation."""
        self.seconds = seconds
        for missing in sorted(self._missing, key=str):
            finding = self.findings[UNMET]
            finding.count += 1
            sentence = f"a violation of '{missing.rule}' was injected at {missing.topic_partition()}, but not found"
            finding.violations.append(Violation(missing._replace(rule=UNMET), sentence))
        if self._expected:
            found = len(self._expected) - len(self._missing)
            self.note(f"{found} of {len(self._expected)} expected violations found")

    @property
    def count(self) -> int:
        """The number of violations."""
        return sum(finding.count for finding in self.findings.values())

    @property
    def clean(self) -> bool:
        return self.count == 0

    def violations(self, rule: str | None = None) -> list[Violation]:
        """The kept violations of one rule, or of all."""
        found = self.findings.values() if rule is None else [self.findings[rule]]
        return [violation for finding in found for violation in finding.violations]

    def __str__(self) -> str:
        lines = [
            f"{one.coordinates.rule}: {one.coordinates.topic_partition()}: {one.sentence}"
            for one in self.violations()
        ]
        return "\n".join([f"{self.count} violations in {self.messages} messages", *lines[:50], *self.notes])

    def print(self, console: Console) -> None:
        """One line per rule, with the first offenders under it."""
        table = Table(box=None, padding=(0, 1), header_style="bold")
        table.add_column("rule", no_wrap=True)
        table.add_column("violations", justify="right", no_wrap=True)
        table.add_column("what must hold")
        for name, finding in self.findings.items():
            style = "red" if finding.count else "green"
            table.add_row(name, f"[{style}]{finding.count}[/]", finding.sentence)
            for violation in finding.violations[:SHOWN]:
                table.add_row("", "", f"[red]{violation.coordinates.topic_partition()}[/]  {violation.sentence}")
            if finding.count > SHOWN:
                table.add_row("", "", f"[dim]and {finding.count - SHOWN} more[/]")
        console.print(table)
        for sentence in self.notes:
            console.print(f"note: {sentence}", highlight=False, markup=False)
        if self.dead_letters.total:
            console.print(self.dead_letters.sentence(), highlight=False)
        rate = self.messages / self.seconds if self.seconds else 0.0
        verdict = "clean" if self.clean else f"{self.count} violations"
        console.print(
            f"{verdict}: {self.messages} messages in {self.seconds:.1f} s ({rate:.0f} per second)", highlight=False
        )

    def write_json(self, out: TextIO) -> None:
        """The same for programs: one JSON object."""
        json.dump(
            {
                "clean": self.clean,
                "messages": self.messages,
                "seconds": round(self.seconds, 3),
                "notes": self.notes,
                "dead_letters": self.dead_letters._asdict(),
                "rules": {
                    name: {
                        "sentence": finding.sentence,
                        "count": finding.count,
                        "violations": [
                            {**one.coordinates._asdict(), "sentence": one.sentence} for one in finding.violations
                        ],
                    }
                    for name, finding in self.findings.items()
                },
            },
            out,
            indent=2,
        )
        out.write("\n")


def read_expectations(path: Path, rules: Sequence[str]) -> frozenset[Coordinates]:
    """The violations that were injected on purpose: JSON lines, or CSV whose first line names the columns, each with
    ``rule``, ``topic``, ``partition`` and ``offset`` (both empty or null for a row without a message).

    Raises UserError that names the line that is not one of these.
    """
    numbered = [(number, line) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    if not numbered:
        return frozenset()
    is_json = numbered[0][1].lstrip().startswith("{")
    names = [] if is_json else [name.strip() for name in next(csv.reader([numbered[0][1]]))]
    expected = set()
    for number, line in numbered:
        try:
            fields = json.loads(line) if is_json else dict(zip(names, next(csv.reader([line])), strict=True))
            if set(fields) != set(EXPECTATION_FIELDS):
                raise ValueError(f"the fields must be {', '.join(EXPECTATION_FIELDS)}")
            if is_json or number > numbered[0][0]:
                expected.add(_coordinates(fields, rules))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"--expect {path}, line {number}: {error!s}: {line.strip()[:200]}") from None
    return frozenset(expected)


def _coordinates(fields: dict[str, object], rules: Sequence[str]) -> Coordinates:
    rule, topic = str(fields["rule"]).strip(), str(fields["topic"]).strip()
    if rule not in rules:
        raise ValueError(f"there is no rule {rule!r}, but {', '.join(rules)}")
    if topic not in TOPICS:
        raise ValueError(f"there is no topic {topic!r}, but {', '.join(TOPICS)}")
    return Coordinates(rule, topic, _number(fields["partition"]), _number(fields["offset"]))


def _number(value: object) -> int | None:
    text = "" if value is None else str(value).strip()
    return int(text) if text else None
