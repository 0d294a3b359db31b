"""Every output that a page shows is what the real program prints: the same columns, rows and words, other numbers."""

import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import Shown, fenced, shown
from tests.docs.real_shop import RealShop
from tests.local.checkout import NewCheckout

LEFT_OUT = "..."

# What differs from run to run, and what stands for it.
VARIES = (
    # What the auditor says of a shop that runs, or does not, as it happens.
    (r"(?m)^ *note: .*$", ""),
    (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
    (r"[─━╸╺]+", "─"),
    (r"(?<!\w)(?:/[\w.-]+)+/", "/folder/"),
    (r"\[\d+(?:, \d+)*\]", "[0]"),
    (r"-:--:--", "0"),
    (r"\d[\d,.:]*", "0"),
)


def shapes(text: str) -> list[str]:
    """The lines of an output without what differs from run to run; empty ones are left out."""
    for what, stand_in in VARIES:
        text = re.sub(what, stand_in, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def difference(block: Shown, printed: str) -> str:
    """The first line of a block that the program does not print there, or nothing. Pure."""
    lines, real = shapes(block.text), shapes(printed)
    loose = block.kind == "lines"
    at = 0
    for line in lines:
        if line == LEFT_OUT:
            loose = True
            continue
        found = next((number for number in range(at, len(real)) if real[number] == line), None) if loose else at
        if found is None or found >= len(real) or real[found] != line:
            return f"{line!r}, and not {real[at] if at < len(real) else 'the end'!r}"
        at, loose = found + 1, block.kind == "lines"
    return "" if loose or at == len(real) else f"left out: {real[at]!r}"


@pytest.fixture(scope="module")
def shop(
    new_checkout: NewCheckout,  # noqa: ARG001 (by which it is known that this starts servers)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RealShop]:
    shop = RealShop(tmp_path_factory.mktemp("docs") / "checkout")
    yield shop
    shop.end_all()


@pytest.fixture(scope="module")
def outputs(shop: RealShop) -> dict[str, str]:
    return shop.outputs()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", shown(), ids=lambda block: f"{block.page}: {block.source}")
def test_a_page_shows_what_the_program_prints(block: Shown, outputs: dict[str, str]) -> None:
    assert block.source in outputs, "say above it what it is the output of"
    assert difference(block, outputs[block.source]) == "", outputs[block.source]


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("outputs")
@pytest.mark.parametrize(("page", "sql"), fenced("sql"))
def test_a_query_of_a_page_is_answered(page: str, sql: str, shop: RealShop) -> None:
    assert len(shop.query(sql)) > 1, page


@pytest.mark.parametrize(
    ("kind", "text", "same"),
    [
        ("output", "orders  12\nlag  3", True),
        ("output", "orders  7", False),
        ("output", "orders  7\n...", True),
        ("output", "...\nlag  1,000.5", True),
        ("output", "lag  3\norders  7", False),
        ("output", "orders  7\ndelay  3", False),
        ("output", "orders  7\nlag  3\nmore", False),
        ("lines", "lag  3", True),
        ("lines", "lag  3\norders  7", False),
        ("lines", "delay  3", False),
    ],
)
def test_other_numbers_are_no_difference_and_other_words_or_rows_are(kind: str, text: str, same: bool) -> None:
    assert (difference(Shown("page", kind, "source", text), "orders      240\n\nlag   1\n") == "") is same
