"""What was found stays mended: every file of tools/fuzz/found and every case by hand, also through the database."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from local.errors import Refusal
from local.paths import ROOT
from tests.fuzz.cases import cases
from tools.fuzz.database import AnalyticsTables
from tools.fuzz.found import all_found, keep, read
from tools.fuzz.load_data import analytics_tables
from tools.fuzz.properties import judge, judge_headers

MESSAGES = dict(cases()) | {file.name: read(file) for file in all_found()}
COLUMNS = analytics_tables(ROOT)


@pytest.mark.parametrize("name", MESSAGES)
def test_it_is_an_event_that_stays_the_same_or_is_refused_with_a_reason(name: str) -> None:
    message = MESSAGES[name]
    judge(message.topic, message.value, COLUMNS)
    judge_headers(message.headers)


def test_all_lie_in_the_database_as_they_came(engine: Engine) -> None:
    tables = AnalyticsTables(engine)
    assert tables.check(list(MESSAGES.values())) == []
    assert tables.nothing_else() == []
    assert tables.facts + tables.letters == len(MESSAGES)


def test_what_is_kept_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("found")
    for message in MESSAGES.values():
        assert read(keep(message, folder)) == message


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"timestamp": 1, "headers": []}'])
def test_a_file_that_holds_no_message_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "kept.order"
    file.write_bytes(content)
    with pytest.raises(Refusal, match=f"{file} is no message"):
        read(file)
