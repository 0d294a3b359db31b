"""Who shops: a pool of people with an id and an address each, made once at start."""

from collections.abc import Mapping

from faker import Faker

from shop.contract.chance import draw
from shop.contract.events import ShippingAddress

COUNTRIES: Mapping[str, str] = {
    "DE": "de_DE",
    "FR": "fr_FR",
    "GB": "en_GB",
    "NL": "nl_NL",
    "ES": "es_ES",
}
"""Where customers live, in turn, and the Faker locale that names them."""
PROVIDERS = ["faker.providers.person", "faker.providers.address", "faker.providers.misc"]
"""Without this, Faker loads all its word lists: three times the memory."""


class Customers:
    """A pool of ``count`` people. The same seed and count give the same pool, in any instance and after a restart."""

    def __init__(self, seed: int, count: int) -> None:
        countries = [(country, _faker(seed, locale)) for country, locale in COUNTRIES.items()]
        self._addresses: dict[str, ShippingAddress] = {}
        for number in range(count):
            country, faker = countries[number % len(countries)]
            self._addresses[str(faker.uuid4())] = ShippingAddress(
                name=_one_line(faker.name(), 100),
                street=_one_line(faker.street_address(), 200),
                zip=_one_line(faker.postcode(), 16),
                city=_one_line(faker.city(), 100),
                country=country,
            )
        self.user_ids = tuple(self._addresses)

    def address_of(self, user_id: str) -> ShippingAddress:
        """Where the user lives. Somebody who is not of the pool (a checkout that another service opened) lives at
        one of its addresses, always the same."""
        address = self._addresses.get(user_id)
        if address is None:
            number = int(draw(0, user_id, "which address?") * len(self.user_ids))
            address = self._addresses[self.user_ids[number]]
        return address


def _faker(seed: int, locale: str) -> Faker:
    faker = Faker(locale, providers=PROVIDERS)
    # With the locale in it, or people of all countries would be made of the same numbers.
    faker.seed_instance(f"{seed}/{locale}")
    return faker


def _one_line(text: str, max_length: int) -> str:
    """The text without line breaks, within the contract's bound."""
    return " ".join(text.split())[:max_length].rstrip()
