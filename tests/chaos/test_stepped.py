"""The clock that is injected into one service jumps, and jumps back."""

import pytest

from chaos.stepped import stepped


@pytest.mark.parametrize(("running", "says"), [(0, 50), (2.9, 50), (3, 3650), (9.9, 3650), (10, 50)])
def test_the_clock_jumps_and_jumps_back(running: float, says: float) -> None:
    assert stepped(lambda: 50, lambda: running, 3600, after=3, jumped=7) == says
