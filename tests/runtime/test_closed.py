"""The memory of closed entities against a plain set."""

import tracemalloc
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.contract.lifecycle import OrderStatus
from shop.runtime.closed import ClosedEntities, IdSet

MANY = 10_000


@given(st.lists(st.uuids(), max_size=40), st.lists(st.uuids(), max_size=5), st.integers(min_value=1, max_value=8))
def test_it_holds_what_was_added_and_nothing_else(
    added: list[uuid.UUID], others: list[uuid.UUID], merge: int
) -> None:
    ids = IdSet(smallest_merge=merge)
    for one in added:
        ids.add(str(one))
        assert str(one) in ids
    for one in (*added, *others):
        assert (str(one) in ids) == (one in added)
    assert len(ids) == len(set(added))


def test_neighbours_of_the_first_and_the_last_id_are_not_there() -> None:
    ids = IdSet(smallest_merge=1)
    numbers = [0, 5, 2**128 - 1]
    for number in numbers:
        ids.add(str(uuid.UUID(int=number)))
    assert [str(uuid.UUID(int=number)) in ids for number in (*numbers, 1, 4, 6, 2**128 - 2)] == [True] * 3 + [
        False
    ] * 4


@pytest.mark.claim("a closed entity takes few bytes", section="triggers", tried="not broken")
def test_a_closed_entity_takes_few_bytes() -> None:
    closed = ClosedEntities()
    tracemalloc.start()
    for number in range(MANY):
        closed.add(str(uuid.UUID(int=number)), OrderStatus.COMPLETED)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 40 * MANY
    assert closed.status(str(uuid.UUID(int=MANY // 2))) is OrderStatus.COMPLETED
    assert closed.status(str(uuid.UUID(int=MANY))) is None
