"""CSV as other programs read it: the lines against Python's own reader."""

import csv
import io
import re
from datetime import datetime
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from analytics_service.export.cells import line

TEXT = st.text(st.characters(codec="utf-8")) | st.text(st.sampled_from("'=+-@\t\r\n \",a\uff1d"))


def read(written: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written, newline=""), strict=True))


def without_guard(cell: str) -> str:
    """As the documentation says: the apostrophe before what would be a formula goes."""
    return re.sub("\\A'(?='*\\s*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])", "", cell)


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_texts_are_read_as_they_were_written(texts: list[str]) -> None:
    assert read(line(texts, guard=False)) == [texts]


@given(st.lists(TEXT, min_size=1, max_size=4))
@example(["=1", "'=1", "''=1", "'", "'s-Gravenhage", " =1", "\uff1d1", "\ta", "\na"])
def test_guarded_texts_are_no_formulas_and_lose_nothing(texts: list[str]) -> None:
    (cells,) = read(line(texts, guard=True))
    assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20")]
    assert not [cell for cell in cells if cell.startswith(("\t", "\r", "\n"))]
    assert [without_guard(cell) for cell in cells] == texts


def test_only_formulas_are_guarded() -> None:
    texts = ["'s-Gravenhage", "a=b", "1-2", "'t Hart", " x", ""]
    assert line(texts, guard=True) == line(texts, guard=False) == "'s-Gravenhage,a=b,1-2,'t Hart, x,\"\"\r\n"


def test_null_and_the_empty_text_differ() -> None:
    assert line([None, "", None], guard=True) == ',"",\r\n'
    assert line([None], guard=True) == "\r\n"
    assert line([""], guard=True) == '""\r\n'


def test_numbers_times_and_bytes_have_one_form() -> None:
    values = [-1, Decimal("-0.50"), Decimal("0E-7"), Decimal("1E+3"), -0.25, datetime(2027, 1, 15, 8), b"", b"=\xff"]
    assert line(values, guard=True) == "-1,-0.50,0.0000000,1000,-0.25,2027-01-15 08:00:00.000000,0x,0x3dff\r\n"
