import re
from collections import Counter

import pytest

from checkout_service.customers import COUNTRIES, Customers
from shop.contract.events import ShippingAddress
from shop.contract.ids import ID_PATTERN
from tools.kit import samples

COUNT = 3000


@pytest.fixture(scope="module")
def customers() -> Customers:
    return Customers(1, COUNT)


def test_every_user_id_is_one_of_its_own_and_valid(customers: Customers) -> None:
    assert len(set(customers.user_ids)) == COUNT
    assert all(re.fullmatch(ID_PATTERN, user_id) for user_id in customers.user_ids)


def test_every_address_is_within_the_contract_and_on_one_line(customers: Customers) -> None:
    for user_id in customers.user_ids:
        address = customers.address_of(user_id)
        ShippingAddress.model_validate(address.model_dump())
        assert all(text == " ".join(text.split()) for text in address.model_dump().values())


def test_customers_live_in_every_country_alike(customers: Customers) -> None:
    countries = Counter(customers.address_of(user_id).country for user_id in customers.user_ids)

    assert countries == dict.fromkeys(COUNTRIES, COUNT // len(COUNTRIES))


def test_people_differ(customers: Customers) -> None:
    addresses = {customers.address_of(user_id) for user_id in customers.user_ids}

    assert len(addresses) == COUNT
    assert len({address.name for address in addresses}) > 0.9 * COUNT


def test_the_same_seed_and_count_give_the_same_people(customers: Customers) -> None:
    again, other = Customers(1, COUNT), Customers(2, COUNT)

    assert again.user_ids == customers.user_ids
    assert all(again.address_of(user_id) == customers.address_of(user_id) for user_id in again.user_ids)
    assert set(other.user_ids).isdisjoint(customers.user_ids)


def test_a_stranger_has_one_address_too(customers: Customers) -> None:
    strangers = [samples.checkout(number).user_id for number in range(7)]
    again = Customers(1, COUNT)
    addresses = [customers.address_of(user_id) for user_id in strangers]

    assert addresses == [again.address_of(user_id) for user_id in strangers]
    assert len(set(addresses)) > 1


def test_a_pool_of_one_serves_all() -> None:
    alone = Customers(1, 1)

    assert alone.address_of(samples.checkout(1).user_id) == alone.address_of(alone.user_ids[0])
