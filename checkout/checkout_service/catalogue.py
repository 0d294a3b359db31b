"""What the shop sells: named products with log-normal prices and Zipf popularity, all decided by the seed."""

from bisect import bisect
from decimal import Decimal
from itertools import accumulate, product
from typing import NamedTuple

from shop.contract.chance import draw, log_normal

MATERIALS = (
    "bamboo", "brass", "canvas", "ceramic", "concrete", "copper", "cork", "cotton", "felt",
    "glass", "leather", "linen", "marble", "oak", "rattan", "steel", "walnut", "wool",
)  # fmt: skip
THINGS = (
    "armchair", "basket", "bench", "bookend", "bowl", "candlestick", "carafe", "clock", "coaster",
    "cushion", "lamp", "mirror", "pencil-case", "planter", "side-table", "stool", "tray", "vase",
)  # fmt: skip

MEDIAN_PRICE = 24.0
"""In the currency of the shop."""
PRICE_SIGMA = 0.8
"""Spread of the prices (log-normal): one product in a hundred costs more than six times the median."""
LEAST_PRICE = Decimal("0.99")
ZIPF_EXPONENT = 1.0
"""The product of rank r is chosen in proportion to 1 / r ** exponent."""


class Product(NamedTuple):
    product_id: str
    price: Decimal


class Catalogue:
    """A few hundred products, the most popular first. The same seed gives the same catalogue."""

    def __init__(self, seed: int) -> None:
        names = ["-".join(words) for words in product(MATERIALS, THINGS)]
        names.sort(key=lambda name: draw(seed, name, "how popular is it?"))
        self.products = tuple(Product(name, _price(seed, name)) for name in names)
        self._cumulative = list(accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, len(names) + 1)))

    def choose(self, chance: float) -> Product:
        """The product at a uniform ``chance`` in [0, 1)."""
        return self.products[bisect(self._cumulative, chance * self._cumulative[-1], hi=len(self.products) - 1)]


def _price(seed: int, name: str) -> Decimal:
    price = log_normal(MEDIAN_PRICE, PRICE_SIGMA, draw(seed, name, "what does it cost?"))
    return max(LEAST_PRICE, Decimal(f"{price:.2f}"))
