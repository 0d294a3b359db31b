"""A family: all that the topics say of one checkout, its order and its fulfillment, and the fold of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from analytics_service.audit.history import TABLE_ROW, Entry
from shop.contract.lifecycle import (
    LIFECYCLES,
    CheckoutStatus,
    FulfillmentStatus,
    Lifecycle,
    OrderStatus,
)

CLOCK_MARGIN = 60_000
"""Milliseconds that the clock of a service (in ids and rows) and the broker's may differ."""


class Detour(NamedTuple):
    """An event that does not continue the life of its entity, and the status that the entity had then."""

    entry: Entry
    before: StrEnum | None


@dataclass(frozen=True, slots=True)
class Life:
    """The fold of one entity: ``steps`` is its first legal path, in order; ``repeated`` reached a status that it had
    reached already; ``illegal`` is the rest."""

    lifecycle: Lifecycle
    events: Sequence[Entry]
    steps: dict[StrEnum, Entry]
    repeated: Sequence[Detour]
    illegal: Sequence[Detour]

    @property
    def latest(self) -> Entry | None:
        """The event that tells the entity's state."""
        return next(reversed(self.steps.values()), None)

    @property
    def status(self) -> StrEnum | None:
        return next(reversed(self.steps), None)

    def with_status(self, status: StrEnum) -> list[Entry]:
        """All events with this status, the illegal ones too: services act on a message by its value."""
        return [event for event in self.events if event.status is status]


def fold(lifecycle: Lifecycle, events: Sequence[Entry]) -> Life:
    """The life of an entity, given its events in order. An event that may not come next changes nothing."""
    steps: dict[StrEnum, Entry] = {}
    repeated: list[Detour] = []
    illegal: list[Detour] = []
    status: StrEnum | None = None
    for event in events:
        reached = event.status
        if lifecycle.allows(status, reached):
            steps[reached] = event
            status = reached
        else:
            (repeated if reached in steps else illegal).append(Detour(event, status))
    return Life(lifecycle, events, steps, repeated, illegal)


class Step(NamedTuple):
    """Once the entity of ``cause_topic`` has reached ``cause``, the one of ``topic`` reaches one of ``statuses``."""

    topic: str
    statuses: tuple[StrEnum, ...]
    cause_topic: str
    cause: StrEnum

    @property
    def name(self) -> str:
        return f"{self.topic} {' or '.join(self.statuses)}"


STEPS: tuple[Step, ...] = (
    Step("order", (OrderStatus.NEW,), "checkout", CheckoutStatus.SUBMITTED),
    Step("order", (OrderStatus.MERCHANT_ACCEPTED, OrderStatus.DISPUTED), "order", OrderStatus.NEW),
    Step("order", (OrderStatus.CANCELLED,), "order", OrderStatus.DISPUTED),
    Step("fulfillment", (FulfillmentStatus.SHIPPED,), "order", OrderStatus.MERCHANT_ACCEPTED),
    Step("order", (OrderStatus.SHIPPED,), "fulfillment", FulfillmentStatus.SHIPPED),
    Step("fulfillment", (FulfillmentStatus.DELIVERED,), "order", OrderStatus.SHIPPED),
    Step("order", (OrderStatus.COMPLETED,), "fulfillment", FulfillmentStatus.DELIVERED),
)
"""Every step that must follow. A checkout's own steps are not here: whether a shopper goes on is chance."""


class Pending(NamedTuple):
    """A step that has not come yet, and the event since which it could."""

    step: Step
    since: Entry


class Family:
    """All entries of one family, folded."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.events = [entry for entry in entries if not entry.flags & TABLE_ROW]
        self.rows = [entry for entry in entries if entry.flags & TABLE_ROW]
        self.partitions = {event.partition for event in self.events}
        events = self.events if len(self.partitions) < 2 else sorted(self.events, key=attrgetter("time"))
        self.lives = {
            lifecycle.topic: fold(lifecycle, [event for event in events if event.topic == lifecycle.topic])
            for lifecycle in LIFECYCLES
        }
        self.checkout, self.order, self.fulfillment = self.lives.values()

    @cached_property
    def pending(self) -> list[Pending]:
        """The steps that should still come: their cause has been reached, and they may be next."""
        found = []
        for step in STEPS:
            life = self.lives[step.topic]
            since = self.lives[step.cause_topic].steps.get(step.cause)
            if since is not None and any(life.lifecycle.allows(life.status, status) for status in step.statuses):
                found.append(Pending(step, since))
        return found

    def began(self) -> float:
        """Since when it exists, at least, in milliseconds of the broker's clock; -inf where that cannot be known.

        Without the first event of its checkout a time-ordered id (UUIDv7) tells, unless it contradicts the broker;
        without any event, the row in fulfillment's table.
        """
        created = self.checkout.steps.get(CheckoutStatus.CREATED)
        if created is not None:
            return created.time
        if not self.events:
            return min(row.time for row in self.rows) - CLOCK_MARGIN
        earliest = min(event.time for event in self.events)
        ids = {UUID(bytes=event.subject) for event in (*self.checkout.events, *self.order.events)}
        times = [(one.int >> 80) - CLOCK_MARGIN for one in ids if one.version == 7]
        return next((time for time in times if time <= earliest), float("-inf"))
