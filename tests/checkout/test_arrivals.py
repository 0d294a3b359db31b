from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from statistics import mean

import pytest

from checkout_service.arrivals import Arrivals
from checkout_service.catalogue import Catalogue
from checkout_service.pace import Pace
from shop.contract.events import Checkout, parse, serialize
from shop.contract.ids import murmur2
from shop.contract.lifecycle import CheckoutStatus
from shop.runtime.loop import EntitySource
from tools.kit.samples import START

USERS = tuple(f"00000000-0000-4000-8000-{number:012x}" for number in range(50))
NOW = START + timedelta(milliseconds=123)


def arrivals(seed: int = 1, rate: float = 1_000_000.0) -> Arrivals:
    random = Random(seed)
    return Arrivals(Pace(rate, 0.0, 1.0, random), Catalogue(1), USERS, random)


def opened(count: int, held: Sequence[int] = range(6), seed: int = 1) -> list[tuple[int, Checkout]]:
    return arrivals(seed).arrivals(0.0, NOW, held, 6, count)


def test_the_runtime_takes_it_as_a_source() -> None:
    source: EntitySource = arrivals(rate=0.0)

    assert source.arrivals(0.0, NOW, range(6), 6, 10) == []
    assert source.next_arrival() is None


def test_every_checkout_reads_back_equal() -> None:
    for _, checkout in opened(3000):
        assert parse("checkout", serialize(checkout)) == checkout


def test_a_new_checkout_has_nothing_entered_yet() -> None:
    for _, checkout in opened(100):
        assert checkout.status is CheckoutStatus.CREATED
        assert checkout.shipping_address is None
        assert checkout.payment_method is None
        assert checkout.created_at == checkout.updated_at == NOW
        assert checkout.user_id in USERS


def test_the_total_is_the_exact_sum_of_the_cart() -> None:
    for _, checkout in opened(3000):
        lines = [line.price * line.quantity for line in checkout.cart_items]
        assert checkout.total_amount == sum(lines)
        assert checkout.total_amount == round(checkout.total_amount, 2)
        assert checkout.total_amount > 0


def test_a_cart_has_one_line_per_product_at_the_price_of_the_catalogue() -> None:
    prices = {product.product_id: product.price for product in Catalogue(1).products}

    for _, checkout in opened(3000):
        products = [line.product_id for line in checkout.cart_items]
        assert len(products) == len(set(products))
        assert [line.price for line in checkout.cart_items] == [prices[product_id] for product_id in products]


def test_a_basket_holds_1_plus_geometric_pieces() -> None:
    pieces = [sum(line.quantity for line in checkout.cart_items) for _, checkout in opened(20_000)]

    assert mean(pieces) == pytest.approx(2.5, rel=0.02)
    shares = Counter(pieces)
    assert [shares[size] / 20_000 for size in (1, 2, 3, 4)] == pytest.approx([0.4, 0.24, 0.144, 0.0864], abs=0.01)


def test_the_largest_basket_there_can_be_is_within_the_contract() -> None:
    class Extreme(Random):
        def random(self) -> float:
            return 1 - 2**-53

        def getrandbits(self, k: int, /) -> int:
            return super().getrandbits(k)

    source = Arrivals(Pace(1.0, 0.0, 1.0, Random(1)), Catalogue(1), USERS, Extreme(1))
    checkouts = [found for second in range(60) for found in source.arrivals(float(second), NOW, range(6), 6, 1)]

    assert checkouts
    for _, checkout in checkouts:
        assert [line.quantity for line in checkout.cart_items] == [72]


def test_ids_are_of_this_millisecond_unique_and_differ_between_instances() -> None:
    first, second = ([checkout.checkout_id for _, checkout in opened(5000, seed=seed)] for seed in (1, 2))

    assert len({*first, *second}) == 10_000
    assert {int(checkout_id.replace("-", "")[:12], 16) for checkout_id in first} == {round(NOW.timestamp() * 1000)}
    assert {checkout_id[14] for checkout_id in first} == {"7"}


@pytest.mark.parametrize("held", [[4], [0, 5], [1, 2, 3], range(6)])
def test_checkouts_open_on_held_partitions_only_and_on_all_of_them(held: Sequence[int]) -> None:
    found = opened(600, held)

    assert all(murmur2(checkout.key.encode()) % 6 == number for number, checkout in found)
    assert {number for number, _ in found} == set(held)


def test_an_instance_that_holds_nothing_opens_nothing() -> None:
    source = arrivals()

    assert source.arrivals(0.0, NOW, [], 6, 100) == []
    assert source.arrivals(9.0, NOW, [], 6, 100) == []


def test_two_instances_share_the_rate_in_proportion_to_what_they_hold() -> None:
    small, large = arrivals(1, rate=5.0), arrivals(2, rate=5.0)

    for second in range(5000):
        small.arrivals(float(second), NOW, [0, 1], 6, 10_000)
        large.arrivals(float(second), NOW, [2, 3, 4, 5], 6, 10_000)

    assert (small.opened + large.opened) / 5000 == pytest.approx(5.0, rel=0.06)
    assert small.opened / large.opened == pytest.approx(0.5, rel=0.1)


def test_opened_counts_what_was_returned() -> None:
    source = arrivals(rate=50.0)

    assert sum(len(source.arrivals(at / 7, NOW, range(6), 6, 20)) for at in range(100)) == source.opened > 0
