"""The fuzzing sees what is wrong: each of these bugs was put in by hand. And it reads LOAD DATA's escapes rightly."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from analytics_service import dead_letters
from analytics_service.ingest import batch, rows
from local.paths import ROOT
from tools.fuzz.database import AnalyticsTables
from tools.fuzz.found import Wrong
from tools.fuzz.load_data import analytics_tables, decode
from tools.fuzz.messages import MessageSource
from tools.fuzz.mutation import Mutation
from tools.fuzz.properties import Broken, judge
from tools.fuzz.samples import bounds, samples

COLUMNS = analytics_tables(ROOT)
SEED = 1


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Rows that were made with a bug are not taken for others."""
    yield
    rows._item.cache_clear()
    rows._address.cache_clear()


def judge_many(number: int = 300) -> None:
    mutation = Mutation(Random(SEED), bounds(COLUMNS))
    for sample in samples()["order"] * (number // 10):
        judge("order", mutation.valid(sample), COLUMNS)
        judge("order", mutation.nearly_valid(sample), COLUMNS)


def check_many(engine: Engine, number: int = 60) -> list[Wrong]:
    source = MessageSource(SEED, samples(), bounds(COLUMNS))
    return AnalyticsTables(engine).check([source.draw() for _ in range(number)])


def test_nothing_is_wrong_now(engine: Engine) -> None:
    judge_many()
    assert check_many(engine, 1000) == []


@pytest.mark.parametrize("letter", ["\\", "\t", "\n"])
def test_a_letter_that_is_not_escaped(monkeypatch: pytest.MonkeyPatch, engine: Engine, letter: str) -> None:
    monkeypatch.setattr(rows, "_ESCAPES", {code: text for code, text in rows._ESCAPES.items() if code != ord(letter)})
    with pytest.raises((Broken, ValueError)):
        judge_many()
    assert check_many(engine)


def test_a_text_that_is_cut_off(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(rows, "_text", lambda text: text[:31].translate(rows._ESCAPES))
    with pytest.raises(Broken, match="LOAD DATA would store"):
        judge_many()
    assert any("the tables hold" in wrong.reason for wrong in check_many(engine))


def test_a_dead_letter_that_loses_bytes(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setattr(
        batch, "encode_headers", lambda headers: dead_letters.encode_headers(headers[1:] if headers else None)
    )
    assert any("dead_letter holds" in wrong.reason for wrong in check_many(engine))


def test_an_error_that_ends_the_batch_is_traced_to_its_message(
    monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    def reason_of(error: Exception) -> str:
        reason = dead_letters.reason_of(error)
        if "Extra inputs" in reason:
            raise RuntimeError("as an example")
        return reason

    monkeypatch.setattr("analytics_service.ingest.decoder.reason_of", reason_of)
    found = check_many(engine)
    assert 0 < len(found) < 30
    assert {wrong.reason for wrong in found} == {"RuntimeError: as an example"}


@settings(deadline=None)
@given(st.lists(st.lists(st.none() | st.text(), min_size=1), min_size=1))
def test_what_is_escaped_is_decoded_the_same(table: list[list[str | None]]) -> None:
    lines = ["\t".join(rows.NULL if field is None else rows._text(field) for field in row) for row in table]
    assert decode("".join(f"{line}\n" for line in lines)) == table
