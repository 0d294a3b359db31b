"""New checkouts: who opens them, with what in the cart."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random

from checkout_service.catalogue import Catalogue, Product
from checkout_service.pace import Pace
from shop.contract.events import CartItem, Checkout
from shop.contract.ids import murmur2, time_ordered_id
from shop.contract.lifecycle import CheckoutStatus

CURRENCY = "EUR"
MORE_IN_BASKET = 0.6
"""Chance that a shopper takes one more: a basket holds 1 + geometric pieces, 2.5 in the mean."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Arrivals:
    """Opens checkouts at a pace, on the partitions that this instance holds and in proportion to them.

    ``random`` must differ between instances and between runs, or ids would repeat.
    """

    def __init__(self, pace: Pace, catalogue: Catalogue, user_ids: Sequence[str], random: Random) -> None:
        self.opened = 0
        self._pace = pace
        self._catalogue = catalogue
        self._user_ids = user_ids
        self._random = random

    def arrivals(
        self, elapsed: float, now: datetime, held: Sequence[int], partitions: int, max_entities: int
    ) -> list[tuple[int, Checkout]]:
        """The checkouts opened by ``elapsed`` seconds, each with the partition of ``held`` that its key hashes to;
        ``partitions`` is the number of all, ``max_entities`` the number of checkouts at most."""
        arrived = self._pace.arrivals(elapsed, now, len(held) / partitions, max_entities)
        self.opened += arrived
        unix_ms = (now - _EPOCH) // timedelta(milliseconds=1)
        return [self._open(now, unix_ms, held, partitions) for _ in range(arrived)]

    def next_arrival(self) -> float | None:
        """The elapsed seconds at which the next one is due; None when there is none."""
        return self._pace.next_arrival()

    def _open(self, now: datetime, unix_ms: int, held: Sequence[int], partitions: int) -> tuple[int, Checkout]:
        number, checkout_id = self._id(unix_ms, held, partitions)
        cart = self._cart()
        lines, amounts = zip(*cart, strict=True)
        return number, Checkout(
            checkout_id=checkout_id,
            user_id=self._random.choice(self._user_ids),
            cart_items=lines,
            total_amount=sum(amounts, Decimal()),
            currency=CURRENCY,
            payment_method=None,
            shipping_address=None,
            status=CheckoutStatus.CREATED,
            created_at=now,
            updated_at=now,
        )

    def _id(self, unix_ms: int, held: Sequence[int], partitions: int) -> tuple[int, str]:
        while True:
            checkout_id = time_ordered_id(unix_ms, self._random.getrandbits(74))
            number = murmur2(checkout_id.encode()) % partitions
            if number in held:
                return number, checkout_id

    def _cart(self) -> list[tuple[CartItem, Decimal]]:
        # At most 72 pieces, because 1 - random() is at least 2^-53: within the contract's bound for a cart.
        pieces = 1 + int(math.log(1.0 - self._random.random()) / math.log(MORE_IN_BASKET))
        chosen: dict[Product, int] = {}
        for _ in range(pieces):
            product = self._catalogue.choose(self._random.random())
            chosen[product] = chosen.get(product, 0) + 1
        return [_line(product, quantity) for product, quantity in chosen.items()]


@lru_cache(maxsize=4096)
def _line(product: Product, quantity: int) -> tuple[CartItem, Decimal]:
    """A line and its amount. The same few hundred products are bought in the same small quantities, over and over."""
    return CartItem(product_id=product.product_id, quantity=quantity, price=product.price), product.price * quantity
