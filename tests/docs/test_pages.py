"""The pages are short, lead somewhere, and name only what is there."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from local.paths import ROOT
from shop.contract.events import parse
from shop.contract.ids import fulfillment_id_of, order_id_of
from tests.docs.pages import DOCS, PAGES, anchors, fenced, links, name, prose

README_WORDS, PAGE_WORDS = 900, 1500
TERMS = 25
MAKE = re.compile(r"\bmake ((?!a |the |it |them |what )[a-z][a-z-]*)")


@cache
def files() -> list[str]:
    """Every file of the repository, those included that are not committed yet."""
    listed = subprocess.check_output(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"], text=True
    )
    return [file for file in listed.splitlines() if (ROOT / file).exists()]


def code_of(page: Path) -> str:
    """What a page shows as code: spans, fenced blocks and indented ones."""
    text = page.read_text()
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*spans, *blocks, *re.findall(r"^    (.+)$", prose(page), re.MULTILINE)])


def targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    return set(phony[1].split())


def offered() -> set[str]:
    """The targets that ``make`` alone lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}


@cache
def names_of_tests() -> set[str]:
    """The names of all tests and of their files."""
    files_of_tests = [file for file in files() if file.startswith("tests/")]
    names = {found for file in files_of_tests for found in re.findall(r"def (test_\w+)", _read(file))}
    return names | {Path(file).stem for file in files_of_tests}


@cache
def words_of_the_code() -> set[str]:
    code = (file for file in files() if not file.endswith(".md") and not file.startswith("tests/docs"))
    return {word for file in code for word in re.findall(r"\w+", _read(file))}


def modules(package: Path) -> set[str]:
    """The modules of a package, by their dotted names within it; those of a subpackage by that, too."""
    found = set()
    for file in package.rglob("*.py"):
        parts = file.relative_to(package).with_suffix("").parts
        if parts[-1] not in {"__init__", "__main__"}:
            found.add(".".join(parts))
    return found


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= README_WORDS


@pytest.mark.parametrize("page", [page for page in PAGES if page != ROOT / "README.md"], ids=name)
def test_a_page_is_short_enough_to_be_read(page: Path) -> None:
    assert len(page.read_text().split()) < PAGE_WORDS


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_a_file_and_a_heading_in_it(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), f"{name(target)} has no #{anchor}"


def test_every_page_is_reached_from_the_table_of_contents() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "docs" / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            ahead += [target for target, _ in links(page)]
    assert {name(page) for page in DOCS} <= {name(page) for page in reached}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    for file, function in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text):
        assert re.search(rf"^ *(?:async )?def {function}\(", (ROOT / file).read_text(), re.MULTILINE), function
    assert set(re.findall(r"\btest_\w+", text)) <= names_of_tests()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_paths_that_a_page_names_exist(page: Path) -> None:
    tops = "|".join({re.escape(file.split("/")[0]) for file in files() if "/" in file})
    path = re.compile(rf"(?<![\w/.:<>*-])(?:{tops})/[\w./-]*\w")
    made = re.compile(r"/venv\b|<|/found/")
    for one in path.findall(code_of(page)):
        if not made.search(one):
            assert any((folder / one).exists() for folder in (ROOT, page.parent)), one


@pytest.mark.parametrize("page", [*DOCS, ROOT / "shared" / "README.md"], ids=name)
def test_the_python_files_that_a_page_names_exist(page: Path) -> None:
    known = files()
    for one in re.findall(r"`([\w/]+\.py)`", prose(page)):
        assert any(f"/{file}".endswith(f"/{one}") for file in known), one


@pytest.mark.parametrize(
    "page", [*(ROOT / "docs" / "architecture").glob("*.md"), ROOT / "docs" / "librdkafka.md"], ids=name
)
def test_the_code_that_the_architecture_names_is_there(page: Path) -> None:
    for one in re.findall(r"`([A-Za-z_]\w*(?:\.\w+)*)`", prose(page)):
        assert one.endswith(".py") or set(re.findall(r"\w+", one)) <= words_of_the_code(), one


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_make_targets_that_a_page_names_exist(page: Path) -> None:
    assert set(MAKE.findall(code_of(page))) <= targets()


def test_the_table_of_targets_names_each_of_them() -> None:
    text = (ROOT / "docs" / "running.md").read_text()
    assert set(MAKE.findall("\n".join(re.findall(r"^\| (`make .+?) \|", text, re.MULTILINE)))) == offered()


def test_the_layout_names_every_folder() -> None:
    layout = (ROOT / "docs" / "layout.md").read_text()
    for folder in {file.split("/")[0] for file in files() if "/" in file}:
        assert f"`{folder}/`" in layout, folder
    for folder in {
        "/".join(file.split("/")[:2]) for file in files() if file.startswith("tools/") and file.count("/") > 1
    }:
        assert f"`{folder}/`" in layout, folder


@pytest.mark.parametrize(
    ("page", "package"), [("shared", "shared/shop"), ("analytics", "analytics/analytics_service")]
)
def test_a_table_of_modules_names_each_of_them_and_no_other(page: str, package: str) -> None:
    cells = re.findall(r"^\| (`.+?`) \| ", (ROOT / page / "README.md").read_text(), re.MULTILINE)
    named = {one for cell in cells for one in re.findall(r"`([a-z0-9_]+(?:\.[a-z0-9_]+)*)`", cell)}
    held = modules(ROOT / package)
    packages = {module.rpartition(".")[0] for module in held} - {""}
    # The auditor is named as a whole.
    assert {module for module in held if not module.startswith("audit.")} <= named
    tables = {"checkout", "order", "fulfillment", "dead_letter", "main.py"}
    views = {one for one in named if one.startswith(("kpi_", "shop."))}
    assert named - tables - views <= held | packages


def test_the_table_of_kpis_names_each_view_and_no_other() -> None:
    views = {
        view for file in (ROOT / "sql").glob("*.sql") for view in re.findall(r"VIEW (kpi_\w+)", file.read_text())
    }
    text = (ROOT / "analytics" / "README.md").read_text()
    cells = "\n".join(re.findall(r"^\| (`kpi_.+?) \|", text, re.MULTILINE))
    named = set(re.findall(r"kpi_\w+", cells))
    # One sentence of the table is about all views with a row per minute.
    assert named | {view.replace("_10s", "_minute") for view in named} == views


def test_the_glossary_has_so_many_terms_of_a_line_each() -> None:
    rows = re.findall(
        r"^\| (?!word|---)(.+?) \| (.+?) \|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE
    )
    assert len({term for term, _ in rows}) == TERMS


def test_the_messages_of_the_contract_are_valid_and_their_ids_derived() -> None:
    (_, checkout), (_, fulfillment) = (block for block in fenced("json") if block[0] == "docs/contract.md")
    first, last = parse("checkout", checkout.encode()), parse("fulfillment", fulfillment.encode())
    assert first.status == "CheckoutSubmitted"
    order_id = order_id_of(json.loads(checkout)["checkout_id"])
    assert json.loads(fulfillment)["order_id"] == order_id
    assert json.loads(fulfillment)["fulfillment_id"] == fulfillment_id_of(order_id)
    assert last.status == "SHIPPED"
    assert order_id in (ROOT / "docs" / "contract.md").read_text()


def test_each_workaround_has_its_symptom_and_its_test() -> None:
    _, *workarounds = re.split(r"^## ", (ROOT / "docs" / "librdkafka.md").read_text(), flags=re.MULTILINE)
    for workaround in workarounds:
        told = re.findall(r"^- \*\*(\w+):\*\*", workaround, re.MULTILINE)
        assert [one for one in told if one != "Issue"] == ["Symptom", "Workaround", "Test"], workaround


def test_what_is_linted_before_a_commit_is_what_make_lint_lints() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"entry: (.+)", text) == ["make lint"]
    assert re.findall(r"repo: (.+)", text) == ["local"]


@cache
def _read(file: str) -> str:
    return (ROOT / file).read_text(errors="replace")
