"""What was injected on purpose, memory, and what people and programs are shown."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from analytics_service.audit.auditor import RULES
from analytics_service.audit.history import Entry, History
from analytics_service.audit.report import Coordinates, DeadLetters, read_expectations
from shop.runtime.errors import UserError
from tests.audit.world import COMPLETED, World


def test_what_is_expected_must_be_found_and_nothing_else() -> None:
    world = World()
    world.live(1, *COMPLETED)
    injected = Coordinates("once", *world.live(1, COMPLETED[0])[0])
    missing = Coordinates("key", "order", 1, 3)
    assert world.broken(injected) == {}
    assert world.broken(injected, missing) == {"expected": [missing[1:]]}
    other = world.live(1, COMPLETED[1])
    assert world.broken(injected) == {"once": other}


@pytest.mark.parametrize(
    "text",
    [
        '{"rule": "once", "topic": "order", "partition": 3, "offset": 17}\n\n'
        '{"rule": "projection", "topic": "fulfillment", "partition": null, "offset": null}\n',
        "rule,topic,partition,offset\nonce,order,3,17\nprojection,fulfillment,,\n",
        "topic, offset, partition, rule\n order, 17, 3, once\nfulfillment,,,projection\n",
    ],
)
def test_expectations_are_json_lines_or_csv(text: str, tmp_path: Path) -> None:
    file = tmp_path / "expected"
    file.write_text(text)
    assert read_expectations(file, list(RULES)) == {
        Coordinates("once", "order", 3, 17),
        Coordinates("projection", "fulfillment", None, None),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"rule": "once"}', "line 1: the fields must be rule, topic, partition, offset"),
        ("rule,topic,partition,offset\nonce,order,3", "line 2"),
        ("rule,topic,partition,offset\nonce,order,three,17", "line 2: invalid literal"),
        ("rule,topic,partition,offset\n\nonce,orders,3,17", "line 3: there is no topic 'orders'"),
        (
            '{"rule": "one", "topic": "order", "partition": 3, "offset": 17}',
            "line 1: there is no rule 'one', but stored",
        ),
        ("rule,topic,offset\nonce,order,17", "line 1: the fields must be rule, topic, partition, offset"),
    ],
)
def test_a_wrong_expectation_is_named_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "expected"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        read_expectations(file, list(RULES))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere cannot be read: No such file"):
        read_expectations(tmp_path / "nowhere", list(RULES))


def test_all_violations_are_counted_and_the_first_ones_kept() -> None:
    world = World()
    for _ in range(1500):
        world.append("order", 0, None, None)
    report = world.audit()
    assert report.findings["stored"].count == report.count == 1500
    assert len(report.violations("stored")) == 100


def test_the_report_is_shown_to_people_and_to_programs() -> None:
    world = World()
    world.live(1, *COMPLETED)
    for _ in range(7):
        world.live(1, COMPLETED[0])
    report = world.audit()
    shown, written = io.StringIO(), io.StringIO()
    report.print(Console(file=shown, width=120))
    report.write_json(written)
    for sentence in RULES.values():
        assert sentence.split()[0] in shown.getvalue()
    assert "and 2 more" in shown.getvalue()
    assert "7 violations: 17 messages" in shown.getvalue()
    told = json.loads(written.getvalue())
    assert told["clean"] is False
    assert told["rules"]["once"]["count"] == 7
    assert told["rules"]["once"]["violations"][0]["topic"] == "checkout"


@pytest.mark.parametrize(
    ("letters", "line"),
    [
        (DeadLetters(), ""),
        (DeadLetters(1, 1), "1 dead letter, 1 unsettled: mend the cause, then make redrive\n"),
        (DeadLetters(1200, 3), "1,200 dead letters, 3 unsettled: mend the cause, then make redrive\n"),
        (DeadLetters(2, 0), "2 dead letters, settled\n"),
    ],
)
def test_dead_letters_are_told_of_in_one_line_and_are_no_violation(letters: DeadLetters, line: str) -> None:
    world = World(dead_letters=letters)
    world.live(1, *COMPLETED)
    report = world.audit()
    shown, written = io.StringIO(), io.StringIO()
    report.print(Console(file=shown, width=120))
    report.write_json(written)
    assert f"{line}clean: 10 messages" in shown.getvalue()
    assert ("dead letter" in shown.getvalue().replace("row or dead letter", "")) == bool(line)
    assert json.loads(written.getvalue())["dead_letters"] == letters._asdict()


def test_every_rule_says_what_must_hold() -> None:
    assert all(sentence.endswith(".") for sentence in RULES.values())


def test_a_history_on_disk_gives_the_same_families_as_one_in_memory() -> None:
    entries = [
        Entry(bytes([number % 97]) * 16, bytes(16), 3, 0, 1, number, number, bytes(8)) for number in range(2000)
    ]
    families = []
    for held_bytes in (1_000_000_000, 1000):
        with History(held_bytes) as history:
            for entry in entries:
                history.add(entry)
            families.append(list(history.families()))
    assert families[0] == families[1]
    assert len(families[0]) == 97
    assert all(
        [entry.offset for entry in family] == sorted(entry.offset for entry in family) for family in families[1]
    )
