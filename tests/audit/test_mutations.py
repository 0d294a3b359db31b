"""Whatever is wrong with one event of a legal stream, the auditor names it; and it never names what is legal."""

from collections.abc import Sequence
from enum import StrEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audit.world import CANCELLED, COMPLETED, DROPPED_OUT, World
from tests.examples import scaled

LIVES: tuple[tuple[StrEnum, ...], ...] = (COMPLETED, CANCELLED, DROPPED_OUT)
EVENTS = [(number, at) for number, life in enumerate(LIVES[:2]) for at in range(len(life))]
"""The events of one completed and of one cancelled order."""

thorough = settings(deadline=None, max_examples=scaled(60), suppress_health_check=[HealthCheck.too_slow])
interleavings = st.lists(st.integers(0, len(LIVES) - 1), min_size=40, max_size=60)


def play(
    order: Sequence[int], world: World, without: tuple[int, int] = (-1, -1), twice: tuple[int, int] = (-1, -1)
) -> None:
    """Publishes the lives interleaved as ``order`` says, each in its own order; then the rest of them."""
    reached = [0] * len(LIVES)
    rest = [number for number, life in enumerate(LIVES) for _ in life]
    for number in (*order, *rest):
        at = reached[number]
        if at < len(LIVES[number]):
            reached[number] += 1
            if (number, at) != without:
                world.live(number, LIVES[number][at])
            if (number, at) == twice:
                world.live(number, LIVES[number][at])


@given(interleavings)
@thorough
def test_every_interleaving_of_legal_lives_is_clean(order: list[int]) -> None:
    world = World(partitions=2)
    play(order, world)
    report = world.audit()
    assert report.clean, str(report)


@given(interleavings, st.sampled_from(EVENTS))
@thorough
def test_a_lost_event_is_named(order: list[int], lost: tuple[int, int]) -> None:
    world = World(partitions=2)
    play(order, world, without=lost)
    assert not world.audit().clean


@given(interleavings, st.sampled_from(EVENTS))
@thorough
def test_a_doubled_event_is_named_and_nothing_else(order: list[int], doubled: tuple[int, int]) -> None:
    world = World(partitions=2)
    play(order, world, twice=doubled)
    assert {rule: len(topic_partitions) for rule, topic_partitions in world.broken().items()} == {"once": 1}


@given(interleavings, st.data())
@thorough
def test_two_swapped_events_of_an_entity_are_named(order: list[int], data: st.DataObject) -> None:
    world = World(partitions=2)
    play(order, world)
    topic, number = data.draw(
        st.sampled_from([topic_partition for topic_partition, log in world.log.items() if len(log) > 1])
    )
    log = world.log[topic, number]
    at = data.draw(st.integers(0, len(log) - 2))
    first, second = log[at], log[at + 1]
    log[at] = first._replace(key=second.key, value=second.value)
    log[at + 1] = second._replace(key=first.key, value=first.value)
    # Against the tables any swap shows; without them one of two events of the same entity does.
    broken = world.broken()
    assert len(broken["fields"]) == 2
    if first.key == second.key:
        assert broken.keys() - {"fields"}


@given(interleavings, st.data())
@pytest.mark.parametrize("what", ["row", "projection", "key"])
@thorough
def test_any_other_single_fault_is_named_and_nothing_else(what: str, order: list[int], data: st.DataObject) -> None:
    world = World(partitions=2)
    play(order, world)
    if what == "projection":
        del world.table[data.draw(st.sampled_from(sorted(world.table)))]
        assert {rule: len(topic_partitions) for rule, topic_partitions in world.broken().items()} == {"projection": 1}
        return
    topic_partition = data.draw(st.sampled_from(sorted(world.rows)))
    if what == "row":
        del world.rows[topic_partition]
        assert world.broken() == {"stored": [topic_partition]}
    else:
        log = world.log[topic_partition[:2]]
        at = next(at for at, message in enumerate(log) if message.offset == topic_partition[2])
        log[at] = log[at]._replace(key=data.draw(st.none() | st.binary(max_size=40)))
        assert world.broken() == {"key": [topic_partition]}
