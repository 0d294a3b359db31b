"""Whether all was well: what the auditor says, what the record says, and what became of the processes."""

import json
from collections import Counter
from dataclasses import dataclass

from chaos import tables
from chaos.instances import WATCHDOG, Exit
from chaos.logs import circles_in
from chaos.run import Run
from chaos.stage import TOPICS, Stage

EXPECTATIONS = "expected.jsonl"


@dataclass(frozen=True)
class Verdict:
    """``violations``: each in a sentence; empty when all was well. ``hung``: processes that the watchdog ended."""

    violations: list[str]
    hung: int
    audit: str


def judge(stage: Stage, run: Run, *, settled: bool) -> Verdict:
    """Judges the run once its load has ended and it has settled, or did not."""
    violations = [] if settled else [f"not settled: {stage.record.chains.in_flight} orders in flight"]
    violations += [
        f"not recovered from fault {one.planned.number} ({one.planned.fault}): {service}"
        for one in run.happened
        for service, seconds in one.recovered.items()
        if seconds is None
    ]
    exits = [end for instance in stage.everyone for end in instance.exits if not end.asked]
    violations += [f"{end.name} ended by itself: {_meaning(end)}" for end in exits if end.code != WATCHDOG]
    violations += circles_in(stage.logs)
    violations += [f"record: {wrong}" for wrong in (*stage.record.failures, *stage.record.chains.wrongs())]
    violations += [f"record: {wrong}" for wrong in (*stage.injections.wrongs(), *_miscounted(stage))]
    expectations = stage.home / EXPECTATIONS
    expectations.write_text("".join(json.dumps(one) + "\n" for one in stage.injections.expectations()))
    audited = stage.audit(expectations)
    if audited.returncode:
        violations.append(f"the auditor finds violations (exit code {audited.returncode})")
    hung = sum(end.code == WATCHDOG for end in exits)
    return Verdict(violations, hung, audited.stdout + audited.stderr)


def _miscounted(stage: Stage) -> list[str]:
    """Where MariaDB has not as many rows as there are messages."""
    record, found = stage.record, []
    letters = tables.rows(stage.mariadb, "dead_letter")
    for topic in TOPICS:
        counts = {
            "rows": (tables.rows(stage.mariadb, topic).get(topic, 0), record.rows[topic]),
            "dead letters": (letters.get(topic, 0), record.letters[topic]),
        }
        found += [
            f"{topic}: {stored} {what} of {messages} messages"
            for what, (stored, messages) in counts.items()
            if stored != messages
        ]
    if record.chains.whole:
        projected = Counter(tables.fulfillments(stage.mariadb))
        expected = record.chains.entities("fulfillment")
        if projected != {"DELIVERED": expected}:
            found.append(f"fulfillment's own table has {dict(projected)}, there are {expected} fulfillments")
    return found


def _meaning(end: Exit) -> str:
    return f"exit code {end.code}" if end.code >= 0 else f"signal {-end.code}"
