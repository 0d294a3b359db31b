from collections.abc import Iterator
from datetime import timedelta
from random import Random
from statistics import mean, variance

import pytest

from checkout_service.pace import CATCH_UP_SECONDS, Pace
from tools.kit.samples import START

MANY = 1_000_000
DAYS = 40


def pace(rate: float, day_curve: float = 0.0, speed: float = 1.0, seed: int = 1) -> Pace:
    return Pace(rate, day_curve, speed, Random(seed))


def per_interval(of: Pace, seconds: int, interval: float = 1.0, share: float = 1.0) -> Iterator[int]:
    """What arrives in each interval, after the first one."""
    of.arrivals(0.0, START, share, MANY)
    for number in range(1, int(seconds / interval) + 1):
        now = START + timedelta(seconds=number * interval)
        yield of.arrivals(number * interval, now, share, MANY)


def test_the_mean_rate_is_the_setting_in_the_long_run() -> None:
    assert sum(per_interval(pace(2.0), 300_000)) / 300_000 == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("interval", [0.05, 0.97])
def test_the_rate_does_not_depend_on_how_often_one_asks(interval: float) -> None:
    assert mean(sum(per_interval(pace(20, seed=seed), 200, interval)) for seed in range(50)) / 200 == pytest.approx(
        20, rel=0.03
    )


def test_a_rate_far_below_one_a_second_holds() -> None:
    assert sum(per_interval(pace(0.02), 300_000)) / 300_000 == pytest.approx(0.02, rel=0.05)


def test_arrivals_are_burstier_than_poisson() -> None:
    """The index of dispersion, variance by mean, is 1 for a plain Poisson process."""
    seconds = list(per_interval(pace(10.0), 20_000))
    minutes = [sum(seconds[at : at + 60]) for at in range(0, len(seconds), 60)]

    assert variance(seconds) / mean(seconds) > 1.3
    assert variance(minutes) / mean(minutes) > 5


def test_rate_0_is_none() -> None:
    nothing = pace(0.0)

    assert sum(per_interval(nothing, 1000)) == 0
    assert nothing.next_arrival() is None


def test_no_share_is_none() -> None:
    assert sum(per_interval(pace(10.0), 1000, share=0.0)) == 0


def test_shares_add_up_to_the_rate() -> None:
    third = sum(per_interval(pace(10.0, seed=1), 30_000, share=1 / 3)) / 30_000
    two_thirds = sum(per_interval(pace(10.0, seed=2), 30_000, share=2 / 3)) / 30_000

    assert third == pytest.approx(10 / 3, rel=0.06)
    assert two_thirds == pytest.approx(20 / 3, rel=0.06)


def test_a_share_counts_from_the_last_call_on() -> None:
    alternating = pace(100.0)
    alternating.arrivals(0.0, START, 1.0, MANY)

    with_all, with_none = 0, 0
    for second in range(1000):
        with_all += alternating.arrivals(second + 0.5, START, 1.0, MANY)
        with_none += alternating.arrivals(second + 1.0, START, 0.0, MANY)

    assert with_none == 0
    assert with_all == pytest.approx(100 * 500, rel=0.3)


def test_most_bounds_a_call_and_the_rest_comes_later() -> None:
    busy = pace(1000.0)
    busy.arrivals(0.0, START, 1.0, MANY)

    counts = [busy.arrivals(1.0, START, 1.0, 100) for _ in range(50)]

    assert counts[:5] == [100] * 5
    assert sum(counts) == pytest.approx(1000, rel=0.6)
    assert counts[-1] == 0


def test_a_pause_is_caught_up_for_one_second_only() -> None:
    paused = pace(1000.0)
    paused.arrivals(0.0, START, 1.0, MANY)

    after_an_hour = paused.arrivals(3600.0, START, 1.0, MANY)

    assert after_an_hour == pytest.approx(1000 * CATCH_UP_SECONDS, rel=0.6)
    assert paused.arrivals(3600.0, START, 1.0, MANY) == 0


def test_as_fast_as_possible_gathers_no_debt() -> None:
    flood = pace(1_000_000.0)

    for tenth in range(600):
        assert flood.arrivals(tenth / 10, START, 1.0, 200) == 200
    due = flood.next_arrival()
    assert due is not None
    assert due >= 59.9 - CATCH_UP_SECONDS


def test_the_next_arrival_comes_when_it_is_due() -> None:
    steady = pace(1000.0)
    steady.arrivals(0.0, START, 1.0, MANY)

    punctual = 0
    for _ in range(500):
        due = steady.next_arrival()
        assert due is not None
        before, then = (steady.arrivals(due + shift, START, 1.0, MANY) for shift in (-1e-9, 1e-9))
        punctual += (before, then) == (0, 1)

    # Not all: the rate may be drawn anew between now and then, which the runtime notices when it asks again.
    assert punctual >= 495


def test_the_day_curve_is_off_unless_set() -> None:
    by_hour = hours(pace(1.0, day_curve=0.0, speed=24.0))

    assert max(by_hour) / min(by_hour) < 1.5


def test_the_day_curve_swings_round_the_same_mean() -> None:
    by_hour = hours(pace(1.0, day_curve=1.0, speed=24.0))

    assert mean(by_hour) == pytest.approx(150 * DAYS, rel=0.05)
    assert by_hour[3] + by_hour[4] < 0.1 * mean(by_hour)
    assert by_hour[15] + by_hour[16] > 1.8 * 2 * mean(by_hour)


@pytest.mark.parametrize(("hour", "factor"), [(4, 0.0), (10, 1.0), (16, 2.0)])
def test_at_speed_1_the_hours_are_those_of_the_clock(hour: int, factor: float) -> None:
    now = START.replace(hour=hour)

    count = sum(pace(1000.0, day_curve=1.0, seed=seed).arrivals(1.0, now, 1.0, MANY) for seed in range(300))

    assert count / 300 / 1000 == pytest.approx(factor, rel=0.05)


def hours(of: Pace) -> list[int]:
    """What arrives in each hour of the day, over ``DAYS`` that take one real hour each."""
    by_hour = [0] * 24
    for second, count in enumerate(per_interval(of, DAYS * 3600), 1):
        by_hour[int((START.timestamp() + second) * 24 / 3600 % 24)] += count
    return by_hour
