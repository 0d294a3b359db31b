"""Recovery and stalls are read off the signs of life."""

import pytest

from chaos.progress import ProgressRecord, Stall, TopicPartition, percentile

FIRST, SECOND = TopicPartition("order", 0), TopicPartition("order", 1)


def progress(first: list[float], second: list[float]) -> ProgressRecord:
    noted = ProgressRecord({"order": [FIRST, SECOND]})
    for topic_partition, moments in ((FIRST, first), (SECOND, second)):
        for moment in moments:
            noted.note("order", topic_partition, moment)
    return noted


def test_a_service_has_recovered_when_it_got_on_in_every_partition() -> None:
    noted = progress([1, 2, 3, 4, 5], [1, 2, 4.5])
    assert noted.recovered("order", 2.5) == 2.0
    assert noted.recovered("order", 4.6) is None


def test_a_sign_that_was_seen_late_does_not_tell_of_what_came_before_it() -> None:
    """Rows are looked for every quarter of a second: the first that are seen after a kill were stored before it."""
    noted = ProgressRecord({"analytics": [FIRST]})
    noted.note("analytics", FIRST, 10.2, since=9.9)
    assert noted.recovered("analytics", 10.0) is None
    noted.note("analytics", FIRST, 20.7, since=20.4)
    assert noted.recovered("analytics", 10.0) == pytest.approx(10.7)


def test_the_longest_stall_is_that_of_one_partition_and_may_last_to_the_end() -> None:
    noted = progress([1, 2, 3, 4, 5], [1, 4.5, 5])
    assert noted.longest_stall("order", 0, 6) == Stall("order", SECOND, 1, 3.5)
    assert noted.longest_stall("order", 0, 20) == Stall("order", FIRST, 5, 15)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentiles_are_values_that_occur(share: float, value: float) -> None:
    assert percentile(range(1, 101), share) == value


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0
