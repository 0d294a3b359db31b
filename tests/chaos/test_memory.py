"""Growth is what a process takes in the end, beside what it took in its third minute."""

import pytest

from chaos.memory import Sample, growth


def lived(minutes: float, at_start: int, per_minute: int) -> list[Sample]:
    return [Sample(second, at_start + int(second / 60 * per_minute)) for second in range(0, int(minutes * 60), 2)]


def test_what_it_takes_while_it_warms_up_does_not_count() -> None:
    samples = [Sample(one.at, 100 if one.at < 110 else 200) for one in lived(20, 0, 0)]
    assert growth(samples) == 0


def test_a_leak_is_seen() -> None:
    assert growth(lived(20, 1000, 10)) == pytest.approx(17 * 10 / 1025, abs=0.01)


def test_who_does_not_live_for_four_minutes_says_nothing() -> None:
    assert growth(lived(2.9, 1000, 10)) is None
