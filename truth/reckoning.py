"""What becomes of a checkout, and what that adds up to. Pure: no clock, no topic, no database."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from shop.contract.events import Checkout, Event, Order
from shop.contract.lifecycle import TOPICS, CheckoutStatus, OrderStatus
from shop.contract.rules import Rules
from truth.figures import (
    CheckoutFigures,
    CountrySales,
    FunnelStep,
    OrderCohort,
    ProductSales,
    Revenue,
    TopicEvents,
    Truth,
)

BEST_PRODUCTS = 20
CENT, SHARE = Decimal("0.01"), Decimal("0.0001")


def life(services: Sequence[Rules[Any]], created: Checkout) -> Iterator[Event]:
    """The checkout and every event that must follow from it, each after the one that triggers it. All at the same
    time: no decision depends on it."""
    latest: dict[tuple[str, str], Event] = {(Checkout.topic, created.checkout_id): created}
    triggers: deque[Event] = deque([created])
    while triggers:
        trigger = triggers.popleft()
        yield trigger
        for rules in services:
            asked = rules.transition(trigger)
            if asked is None or asked.becomes is None:
                continue
            entity = rules.topic, asked.entity_id
            before = latest.get(entity)
            status = None if before is None else before.status
            assert asked.needs is status, f"{trigger.topic} {trigger.status} asks for {asked}, which is {status}"
            after: Event = rules.decide(before, trigger, asked.becomes, created.created_at)
            latest[entity] = after
            triggers.append(after)


@dataclass
class _Sales:
    orders: int = 0
    pieces: int = 0
    revenue: Decimal = Decimal()

    def add(self, orders: int, pieces: int, revenue: Decimal) -> None:
        self.orders += orders
        self.pieces += pieces
        self.revenue += revenue


class Reckoning:
    """Adds up what becomes of checkouts, in memory that does not grow with them."""

    def __init__(self, services: Sequence[Rules[Any]]) -> None:
        self._services = services
        self._reached: Counter[tuple[str, StrEnum]] = Counter()
        self._amounts: defaultdict[tuple[str, StrEnum], Decimal] = defaultdict(Decimal)
        self._currencies: defaultdict[str, _Sales] = defaultdict(_Sales)
        self._products: defaultdict[tuple[str, str], _Sales] = defaultdict(_Sales)
        self._countries: defaultdict[tuple[str, str], _Sales] = defaultdict(_Sales)

    def add(self, created: Checkout) -> None:
        """Takes in a checkout as it was created; each once."""
        for event in life(self._services, created):
            self._reached[event.topic, event.status] += 1
            if isinstance(event, Order):
                self._amounts[event.currency, event.status] += event.total_amount
                if event.status is OrderStatus.NEW:
                    self._place(event)

    def truth(self) -> Truth:
        """What it adds up to so far."""
        return Truth(
            tuple(self._funnel()),
            self._checkout(),
            self._order_cohort(),
            tuple(self._revenue()),
            tuple(self._top_product()),
            tuple(
                CountrySales(country, currency, sales.orders, _money(sales.revenue))
                for (country, currency), sales in sorted(self._countries.items())
            ),
            tuple(TopicEvents(topic, self._events(topic)) for topic in TOPICS),
        )

    def _place(self, order: Order) -> None:
        pieces = sum(line.quantity for line in order.cart_items)
        self._currencies[order.currency].add(1, pieces, order.total_amount)
        self._countries[order.shipping_address.country, order.currency].add(1, pieces, order.total_amount)
        for line in order.cart_items:
            product = self._products[line.product_id, order.currency]
            product.add(0, line.quantity, line.quantity * line.price)
        # A product may stand in several lines of a cart.
        for product_id in {line.product_id for line in order.cart_items}:
            self._products[product_id, order.currency].orders += 1

    def _funnel(self) -> Iterator[FunnelStep]:
        for number, (before, after) in enumerate(pairwise(CheckoutStatus), start=1):
            entered, went_on = self._checkouts(before), self._checkouts(after)
            yield FunnelStep(number, after, entered, went_on, entered - went_on, _share(went_on, entered))

    def _checkout(self) -> CheckoutFigures:
        created, submitted = self._checkouts(CheckoutStatus.CREATED), self._checkouts(CheckoutStatus.SUBMITTED)
        left = created - submitted
        return CheckoutFigures(created, submitted, _share(submitted, created), left, _share(left, created))

    def _order_cohort(self) -> OrderCohort:
        placed, disputed, cancelled, completed = (
            self._reached[Order.topic, status]
            for status in (OrderStatus.NEW, OrderStatus.DISPUTED, OrderStatus.CANCELLED, OrderStatus.COMPLETED)
        )
        shares = (_share(part, placed) for part in (completed, disputed, cancelled))
        return OrderCohort(placed, disputed, cancelled, completed, placed - completed - cancelled, *shares)

    def _revenue(self) -> Iterator[Revenue]:
        for currency, sales in sorted(self._currencies.items()):
            yield Revenue(
                currency,
                sales.orders,
                _money(sales.revenue),
                _money(self._amounts[currency, OrderStatus.DISPUTED]),
                _money(self._amounts[currency, OrderStatus.COMPLETED]),
                _money(sales.revenue / sales.orders),
                _share(sales.pieces, sales.orders),
            )

    def _top_product(self) -> Iterator[ProductSales]:
        best = sorted(self._products.items(), key=lambda item: (-item[1].revenue, item[0]))
        for (product_id, currency), sales in best[:BEST_PRODUCTS]:
            yield ProductSales(product_id, currency, sales.orders, sales.pieces, _money(sales.revenue))

    def _checkouts(self, status: CheckoutStatus) -> int:
        return self._reached[Checkout.topic, status]

    def _events(self, topic: str) -> int:
        return sum(events for (of, _), events in self._reached.items() if of == topic)


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def _share(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(SHARE, ROUND_HALF_UP) if whole else None
