from collections import Counter
from decimal import Decimal
from random import Random
from statistics import median

import pytest

from checkout_service.catalogue import LEAST_PRICE, MEDIAN_PRICE, Catalogue
from shop.contract.events import CartItem


def test_a_few_hundred_products_fit_the_contract() -> None:
    products = Catalogue(1).products

    assert 200 <= len({product.product_id for product in products}) == len(products) <= 500
    for product in products:
        CartItem(product_id=product.product_id, quantity=1, price=product.price)


def test_prices_are_log_normal_with_two_decimals() -> None:
    prices = [product.price for product in Catalogue(1).products]

    assert all(price.as_tuple().exponent == -2 and price >= LEAST_PRICE for price in prices)
    assert float(median(prices)) == pytest.approx(MEDIAN_PRICE, rel=0.25)
    assert max(prices) > 5 * Decimal(MEDIAN_PRICE)


def test_popularity_follows_zipf() -> None:
    catalogue, random = Catalogue(1), Random(1)
    chosen = Counter(catalogue.choose(random.random()) for _ in range(100_000))
    first, second, *_, last = (chosen[product] for product in catalogue.products)

    assert 0.14 < first / 100_000 < 0.18
    assert first / second == pytest.approx(2, rel=0.05)
    assert last > 0


def test_the_ends_of_chance_choose_the_first_and_the_last() -> None:
    catalogue = Catalogue(1)

    assert catalogue.choose(0.0) is catalogue.products[0]
    assert catalogue.choose(1 - 2**-53) is catalogue.products[-1]


def test_the_seed_decides_the_catalogue() -> None:
    assert Catalogue(1).products == Catalogue(1).products
    assert Catalogue(1).products != Catalogue(2).products
