"""The faults are a function of the seed."""

from chaos.draw import KINDS, NEED_A_DISK, draw


def test_the_same_seed_draws_the_same_faults() -> None:
    assert draw(7, 200, KINDS) == draw(7, 200, KINDS)


def test_another_seed_draws_others() -> None:
    assert [one.fault for one in draw(7, 50, KINDS)] != [one.fault for one in draw(8, 50, KINDS)]


def test_fewer_faults_are_the_first_of_more() -> None:
    assert draw(7, 200, KINDS)[:20] == draw(7, 20, KINDS)


def test_the_order_in_which_kinds_are_named_does_not_matter() -> None:
    assert draw(7, 50, list(KINDS)[::-1]) == draw(7, 50, KINDS)


def test_a_deck_holds_every_kind() -> None:
    size = sum(kind.copies for kind in KINDS.values())
    assert {one.kind for one in draw(7, size, KINDS)} == set(KINDS)


def test_what_this_machine_cannot_do_is_not_drawn() -> None:
    kinds = set(KINDS) - NEED_A_DISK
    assert {one.kind for one in draw(7, 200, kinds)} == kinds


def test_moments_are_random() -> None:
    drawn = draw(7, 200, KINDS)
    assert all(0 <= one.pause <= 3 for one in drawn)
    assert 10 < sum(one.hasty for one in drawn) < 60
