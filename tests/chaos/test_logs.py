"""A service that says the same again and again is found; not one whose pauses grow, or that speaks of messages."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from chaos.logs import circles

PAUSES = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]


def said(at: Iterable[float], event: str = "waiting", level: str = "warning", reason: str = "no answer") -> list[str]:
    return [
        json.dumps(
            {
                "event": event,
                "level": level,
                "reason": reason,
                "timestamp": datetime.fromtimestamp(one, UTC).isoformat(),
            }
        )
        for one in at
    ]


def test_a_complaint_every_second_is_found_once() -> None:
    assert list(circles(said(range(60)))) == ["waiting: no answer"]


def test_numbers_do_not_make_it_another_complaint() -> None:
    lines = [line for second in range(20) for line in said([second], reason=f"port {second}")]
    assert list(circles(lines)) == ["waiting: port N"]


def test_pauses_that_grow_are_well() -> None:
    at = [sum(PAUSES[:number]) for number in range(len(PAUSES))]
    assert list(circles(said(at))) == []


def test_lines_about_messages_or_without_a_complaint_are_well() -> None:
    quick = [number / 10 for number in range(100)]
    assert list(circles(said(quick, event="invalid message ignored"))) == []
    assert list(circles(said(quick, event="dead letter"))) == []
    assert list(circles(said(quick, event="entity abandoned: it waited too long"))) == []
    assert list(circles(said(quick, level="info"))) == []


def test_the_same_of_each_partition_is_not_the_same_again() -> None:
    lines = [
        json.dumps({**json.loads(line), "partition": number % 6, "topic": "order"})
        for number, line in enumerate(said([number / 10 for number in range(40)]))
    ]
    assert list(circles(lines)) == []
    assert list(circles([line.replace('"topic"', '"table"') for line in lines])) == []


def test_what_is_no_line_of_a_log_is_passed_over() -> None:
    assert list(circles(["ended without waiting for a server that does not answer", ""])) == []
