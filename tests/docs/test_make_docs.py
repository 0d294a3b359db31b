"""`make docs`: what it writes is committed, and what it is made of is read as it was meant."""

import re
import sys
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from local.errors import Refusal
from shop.edges.settings import Settings
from tools.docs import claims, page, pages
from tools.docs.__main__ import main
from tools.docs.claims import Mark
from tools.docs.settings import PROGRAMS, settings_of

MARK = "@pytest.mark.claim('it holds', section='restore', tried='broken')"
TEST = "\ndef test_it(): ..."
RESTORED = """
import pytest

class Behaviour:
    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.claim(
        "nothing is decided "
        "before the fold is complete", section="restore", tried="broken in 2 ways"
    )
    @pytest.mark.claim("a fold is complete at its restore target", section="restore", tried="not broken")
    def test_a_fold(self, number: int) -> None: ...
"""


def written(folder: Path, text: str) -> Path:
    (folder / "tests").mkdir()
    (folder / "tests" / "test_it.py").write_text(text)
    return folder / "tests"


def test_what_make_docs_writes_is_committed() -> None:
    assert pages.outdated(pages.generated()) == [], "run `make docs`"


def test_what_is_out_of_date_is_named_written_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    stale = tmp_path / "docs" / "claims" / "gone.md"
    stale.parent.mkdir(parents=True)
    stale.touch()
    made = {"docs/claims/restore.md": "new\n", "docs/settings.md": "same\n"}
    (tmp_path / "docs" / "settings.md").write_text("same\n")

    assert pages.write(made) == ["docs/claims/restore.md", "docs/claims/gone.md"]

    assert pages.outdated(made) == []
    assert not stale.exists()


def test_check_writes_nothing_and_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["python -m tools.docs", "--check"])
    monkeypatch.setattr(pages, "write", None)
    monkeypatch.setattr(pages, "outdated", lambda made: sorted(made)[:1])
    assert main() == 1
    assert capsys.readouterr().err == "out of date: analytics/.env.example: run `make docs`\n"


def test_a_setting_in_a_section_that_the_page_does_not_have_is_refused() -> None:
    class Elsewhere(Settings):
        model_config = SettingsConfigDict(title="Elsewhere")
        colour: str = "blue"

    with pytest.raises(Refusal, match="COLOUR is in section Elsewhere"):
        settings_of(Elsewhere)


def test_what_is_set_elsewhere_by_default_stays_in_its_section() -> None:
    sections = {setting.name: setting.section for setting in settings_of(PROGRAMS["checkout"])}
    assert (sections["CUSTOMERS"], sections["KAFKA_USER"], sections["SEED"]) == (
        "Checkouts",
        "Kafka",
        "Chance and time",
    )


def test_marks_are_read_from_methods_beside_other_marks_and_in_any_number(tmp_path: Path) -> None:
    test = "tests/test_it.py::test_a_fold"
    assert claims.marks_of(written(tmp_path, RESTORED)) == [
        Mark(test, "nothing is decided before the fold is complete", "restore", "broken in 2 ways"),
        Mark(test, "a fold is complete at its restore target", "restore", "not broken"),
    ]


def test_what_several_tests_prove_is_one_row_and_one_claim() -> None:
    marks = [Mark(f"tests/a.py::test_{number}", "it | holds", "restore", "broken") for number in (1, 2)]
    assert r"| it \| holds | `tests/a.py::test_1`, `tests/a.py::test_2` | broken |" in claims.page("restore", marks)
    assert "| [Restore](claims/restore.md) | 1 | 1 |\n" in claims.contents(marks)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (MARK.replace(", tried='broken'", "") + TEST, "line 1: write @pytest.mark.claim("),
        (MARK.replace("'it holds'", "TEXT") + TEST, "line 1: write @pytest.mark.claim("),
        (MARK.replace("restore", "x") + TEST, "line 1: section is one of restore, offsets, "),
        (MARK + "\ndef it(): ...", "line 1: a claim is a mark on a test function"),
        (MARK + "\nclass TestIt: ...", "line 1: a claim is a mark on a test function"),
        ("\npytestmark = " + MARK.removeprefix("@"), "line 2: a claim is a mark on a test function"),
    ],
    ids=["tried is missing", "a name", "no such section", "no test", "a class", "a whole module"],
)
def test_a_mark_that_would_be_passed_over_is_refused(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(Refusal, match=rf"^tests/test_it\.py, {re.escape(wrong)}"):
        claims.marks_of(written(tmp_path, text))


def test_a_block_is_filled_and_the_rest_of_a_page_stays() -> None:
    text = f"# Title\n\n{page.BEGIN}\n\nold\n{page.END}\n\nbelow\n"
    assert page.filled("a.md", text, "new \\1\n") == f"# Title\n\n{page.BEGIN}\n\nnew \\1\n\n{page.END}\n\nbelow\n"


def test_a_page_without_a_place_for_its_block_is_refused() -> None:
    with pytest.raises(Refusal, match=r"^a\.md has no place"):
        page.filled("a.md", f"# Title\n{page.BEGIN}\n", "new\n")
