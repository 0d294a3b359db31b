"""The statuses of the three entities and their legal transitions, as data.

The services, the auditor and the documentation read the same tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class CheckoutStatus(StrEnum):
    CREATED = "created"
    ADDRESS_SUBMITTED = "AddressSubmitted"
    PAYMENT_METHOD_SUBMITTED = "PaymentMethodSubmitted"
    SUBMITTED = "CheckoutSubmitted"


class OrderStatus(StrEnum):
    NEW = "NEW"
    MERCHANT_ACCEPTED = "MERCHANT_ACCEPTED"
    SHIPPED = "SHIPPED"
    COMPLETED = "COMPLETED"
    DISPUTED = "DISPUTED"
    CANCELLED = "CANCELLED"


class FulfillmentStatus(StrEnum):
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"


@dataclass(frozen=True)
class Lifecycle:
    """The legal life of the entities of one topic: a directed graph without cycles, from ``first`` on."""

    topic: str
    first: StrEnum
    transitions: Mapping[StrEnum, tuple[StrEnum, ...]]

    def allows(self, before: StrEnum | None, after: StrEnum) -> bool:
        """Whether ``after`` may be the very next status; before the first one there is None."""
        return after is self.first if before is None else after in self.transitions[before]

    def reaches(self, start: StrEnum | None, goal: StrEnum) -> bool:
        """Whether an entity in ``start`` is in ``goal`` already or may still get there."""
        return start is None or goal in self._reachable[start]

    def is_final(self, status: StrEnum) -> bool:
        """Whether nothing can follow ``status``."""
        return not self.transitions[status]

    @cached_property
    def _reachable(self) -> Mapping[StrEnum, frozenset[StrEnum]]:
        def closure(status: StrEnum) -> frozenset[StrEnum]:
            return frozenset({status}).union(*map(closure, self.transitions[status]))

        return {status: closure(status) for status in self.transitions}


CHECKOUT = Lifecycle(
    topic="checkout",
    first=CheckoutStatus.CREATED,
    transitions={
        CheckoutStatus.CREATED: (CheckoutStatus.ADDRESS_SUBMITTED,),
        CheckoutStatus.ADDRESS_SUBMITTED: (CheckoutStatus.PAYMENT_METHOD_SUBMITTED,),
        CheckoutStatus.PAYMENT_METHOD_SUBMITTED: (CheckoutStatus.SUBMITTED,),
        CheckoutStatus.SUBMITTED: (),
    },
)

ORDER = Lifecycle(
    topic="order",
    first=OrderStatus.NEW,
    transitions={
        OrderStatus.NEW: (OrderStatus.MERCHANT_ACCEPTED, OrderStatus.DISPUTED),
        OrderStatus.MERCHANT_ACCEPTED: (OrderStatus.SHIPPED,),
        OrderStatus.SHIPPED: (OrderStatus.COMPLETED,),
        OrderStatus.COMPLETED: (),
        OrderStatus.DISPUTED: (OrderStatus.CANCELLED,),
        OrderStatus.CANCELLED: (),
    },
)

FULFILLMENT = Lifecycle(
    topic="fulfillment",
    first=FulfillmentStatus.SHIPPED,
    transitions={
        FulfillmentStatus.SHIPPED: (FulfillmentStatus.DELIVERED,),
        FulfillmentStatus.DELIVERED: (),
    },
)

LIFECYCLES: tuple[Lifecycle, ...] = (CHECKOUT, ORDER, FULFILLMENT)
TOPICS: tuple[str, ...] = tuple(lifecycle.topic for lifecycle in LIFECYCLES)
