"""The figures of the truth: names and columns are those of the KPI views in ``sql/``, without ``kpi_``.

Amounts have two decimals, shares four, as MariaDB divides; a share of nothing is None.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class FunnelStep:
    """A step of the checkouts; ``status`` is the one that it leads to."""

    step_no: int
    status: str
    entered: int
    went_on: int
    dropped: int
    share: Decimal | None


@dataclass(frozen=True)
class CheckoutFigures:
    created: int
    submitted: int
    conversion: Decimal | None
    abandoned: int
    abandonment: Decimal | None


@dataclass(frozen=True)
class OrderCohort:
    """What becomes of the orders; ``in_flight``: neither COMPLETED nor CANCELLED."""

    placed: int
    disputed: int
    cancelled: int
    completed: int
    in_flight: int
    completion: Decimal | None
    dispute_rate: Decimal | None
    cancellation_rate: Decimal | None


@dataclass(frozen=True)
class Revenue:
    """Of the orders in one currency: the amount of all, and of those that become DISPUTED or COMPLETED."""

    currency: str
    orders: int
    gross: Decimal
    disputed: Decimal
    completed: Decimal
    average_order_value: Decimal
    items_per_order: Decimal | None


@dataclass(frozen=True)
class ProductSales:
    product_id: str
    currency: str
    orders: int
    pieces: int
    revenue: Decimal


@dataclass(frozen=True)
class CountrySales:
    """Of the orders that are sent to one country."""

    country: str
    currency: str
    orders: int
    revenue: Decimal


@dataclass(frozen=True)
class TopicEvents:
    topic: str
    events: int


@dataclass(frozen=True)
class Truth:
    """What the KPIs must say of some checkouts once everything has settled."""

    funnel: tuple[FunnelStep, ...]
    checkout: CheckoutFigures
    order_cohort: OrderCohort
    revenue: tuple[Revenue, ...]
    top_product: tuple[ProductSales, ...]
    country: tuple[CountrySales, ...]
    events: tuple[TopicEvents, ...]
