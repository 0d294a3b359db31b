"""What a test may start is said by its fixtures alone: none of the fast lane (make test-fast) can start a server."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from local.paths import ROOT
from tests.local.checkout import Checkout
from tools.kit import stack

REFUSED = "This test has no fixture that may start servers"


@pytest.mark.parametrize("start", [lambda home: stack.new_kafka(home).start(), stack.start_mariadb])
def test_a_test_without_a_fixture_for_it_starts_neither_a_broker_nor_a_database(
    tmp_path: Path, start: Callable[[Path], object]
) -> None:
    with pytest.raises(pytest.fail.Exception, match=REFUSED):
        start(tmp_path)


@pytest.mark.parametrize("target", ["up", "run", "run-cluster"])
def test_make_starts_none_either_in_such_a_test(tmp_path: Path, target: str) -> None:
    checkout = Checkout(tmp_path / "checkout")
    made = checkout.make(target)
    assert made.returncode == 2
    assert REFUSED in made.stderr
    assert checkout.processes() == {}


def test_no_test_is_put_into_a_lane_by_hand() -> None:
    for file in (ROOT / "tests").rglob("*.py"):
        assert not re.search(r"\bmark\.(broker|database|packages|compose)\b", file.read_text()), file
