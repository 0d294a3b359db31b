"""The rules on the life of a family. Each function is one rule: its docstring says what must hold, and the report
shows it; it yields the entry at fault and a sentence.

A fault is named by the one rule that is nearest to its cause: an event off the legal path is named by ``once`` or
``legal`` (and by ``partition``), and the other rules look at the path only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from analytics_service.audit.family import STEPS, Family, Life, Pending
from analytics_service.audit.history import BROKER_TIME, RECENT, STRANGE_ID, Entry
from shop.contract.lifecycle import CheckoutStatus, OrderStatus

CLOCK_SKEW = 1000
"""Milliseconds that the clocks of two brokers may differ."""

Fault = tuple[Entry, str]


class SetBack(NamedTuple):
    """The broker's clock was set back: after a message with the time ``before`` came one with the time ``after``."""

    before: int
    after: int


@dataclass(frozen=True)
class Terms:
    """What an audit judges by. Times are in milliseconds."""

    now: int
    stuck_after: int = 60_000
    settled: bool = False
    horizons: Mapping[int, float] | None = None
    """Per partition: families that began before this are forgotten, because something of them may be gone."""
    set_back: Sequence[SetBack] = ()
    """When the broker's clock was set back."""

    def overdue(self, since: Entry) -> bool:
        """Whether what should follow this should have come by now."""
        return self.age(since) > self.stuck_after

    def age(self, entry: Entry) -> int:
        return self.now - entry.time

    def comparable(self, early: int, late: int) -> bool:
        """Whether the broker's times tell which of two messages came first: not where its clock was set back between
        them, so that the time of the one that came first is the later one."""
        return not any(early < back.before and late > back.after for back in self.set_back)

    def forgotten(self, family: Family) -> bool:
        """Whether the history of a family may have begun before what the topics still hold."""
        if not self.horizons:
            return False
        partitions = family.partitions or self.horizons
        horizon = max(self.horizons.get(partition, float("-inf")) for partition in partitions)
        # What claims to begin in the future tells nothing.
        return horizon > float("-inf") and not horizon < family.began() <= self.now


FamilyRule = Callable[[Family, Terms], Iterator[Fault]]


def partition(family: Family, _: Terms) -> Iterator[Fault]:
    """All events of a checkout, its order and its fulfillment lie in one partition number."""
    if len(family.partitions) > 1:
        steps = (step for life in family.lives.values() for step in life.steps.values())
        home = next(steps, family.events[0])
        for event in family.events:
            if event.partition != home.partition:
                yield event, f"{event.name} {event.status} lies here, but its family in partition {home.partition}"


def once(family: Family, _: Terms) -> Iterator[Fault]:
    """No entity reaches the same status twice."""
    for life in family.lives.values():
        for entry, before in life.repeated:
            first = life.steps[entry.status]
            topic_partition = f"{first.topic}/{first.partition}@{first.offset}"
            yield (
                entry,
                f"{entry.name} reaches {entry.status} again (first at {topic_partition}; it is {before} by now)",
            )


def legal(family: Family, _: Terms) -> Iterator[Fault]:
    """Every transition is legal, and they are in order."""
    for life in family.lives.values():
        for entry, before in life.illegal:
            yield entry, f"{entry.name} becomes {entry.status}, but {_may_become(life.lifecycle.first, before)}"


def order(family: Family, terms: Terms) -> Iterator[Fault]:
    """There is one order per CheckoutSubmitted, under the id derived from the checkout's, and none without."""
    placed = next(iter(family.order.steps.values()), None)
    if placed is not None:
        if placed.flags & STRANGE_ID:
            yield placed, f"{placed.name} has not the id of the one order of checkout {UUID(bytes=placed.subject)}"
        elif not family.checkout.with_status(CheckoutStatus.SUBMITTED) and not placed.flags & RECENT:
            yield placed, f"{placed.name} exists, but checkout {UUID(bytes=placed.subject)} was not submitted"
    yield from _missing(family, terms, family.order)


def content(family: Family, _: Terms) -> Iterator[Fault]:
    """An order holds what its checkout held when it was submitted."""
    submitted = {event.digest for event in family.checkout.with_status(CheckoutStatus.SUBMITTED)}
    if submitted:
        for entry in family.order.steps.values():
            if not entry.flags & STRANGE_ID and entry.digest not in submitted:
                yield entry, f"{entry.name} {entry.status} differs from checkout {UUID(bytes=entry.subject)}"


def fulfillment(family: Family, terms: Terms) -> Iterator[Fault]:
    """There is one fulfillment per accepted order, under the id derived from the order's, and none without."""
    begun = next(iter(family.fulfillment.steps.values()), None)
    if begun is not None:
        if begun.flags & STRANGE_ID:
            yield (
                begun,
                f"{begun.name} has {UUID(bytes=begun.subject)}, not the id of the one that the order may have",
            )
        elif not family.order.with_status(OrderStatus.MERCHANT_ACCEPTED) and not begun.flags & RECENT:
            yield begun, f"{begun.name} exists, but its order was not accepted"
    yield from _missing(family, terms, family.fulfillment)


def cause(family: Family, terms: Terms) -> Iterator[Fault]:
    """What follows from another topic's event comes after it: NEW after CheckoutSubmitted, the fulfillment's SHIPPED
    after MERCHANT_ACCEPTED, the order's SHIPPED after that, then DELIVERED, then COMPLETED."""
    for step in STEPS:
        for status in step.statuses if step.topic != step.cause_topic else ():
            effect = family.lives[step.topic].steps.get(status)
            if effect is None:
                continue
            causes = family.lives[step.cause_topic].with_status(step.cause)
            if not causes:
                # The first event of an entity is the business of the rules order and fulfillment.
                if status is not family.lives[step.topic].lifecycle.first and not effect.flags & RECENT:
                    yield effect, f"{effect.name} is {status}, but there is no {step.cause_topic} {step.cause}"
            elif all(one.flags & effect.flags & BROKER_TIME for one in causes):
                caused = min(one.time for one in causes)
                early = caused - effect.time
                if early > CLOCK_SKEW and terms.comparable(effect.time, caused):
                    yield (
                        effect,
                        f"{effect.name} is {status} {early} ms before the {step.cause_topic} is {step.cause}",
                    )


def projection(family: Family, terms: Terms) -> Iterator[Fault]:
    """Each row of fulfillment's table equals the fold of the topic, and none is missing."""
    latest = family.fulfillment.latest
    row = family.rows[0] if family.rows else None
    if latest is None and row is not None:
        if terms.settled or terms.overdue(row):
            yield row, f"the row of {row.name} is {row.status}, but the topic knows no such fulfillment"
    elif latest is not None and row is None:
        if terms.settled or terms.overdue(latest):
            yield latest, f"{latest.name} is {latest.status}, but has no row"
    elif latest is not None and row is not None:
        if latest.number != row.number:
            # While events still come, the table may be a little behind, or ahead of what is read here.
            if terms.settled or terms.overdue(max(latest, row, key=lambda entry: entry.number)):
                yield latest, f"{latest.name} is {latest.status}, but {row.status} in its row"
        elif (latest.subject, latest.digest) != (row.subject, row.digest):
            yield latest, f"{latest.name} {latest.status} has another id or other times in its row"


def stuck(family: Family, terms: Terms) -> Iterator[Fault]:
    """No entity waits longer than the bound for a step that must come."""
    for step, since in _waiting(family):
        if terms.overdue(since):
            yield since, _waits(family, Pending(step, since), terms)


def settled(family: Family, terms: Terms) -> Iterator[Fault]:
    """With --settled: nothing is in flight; every order is COMPLETED or CANCELLED, every fulfillment DELIVERED."""
    if terms.settled:
        for step, since in _waiting(family):
            if not terms.overdue(since):
                yield since, _waits(family, Pending(step, since), terms)


FORGOTTEN_RULES: tuple[FamilyRule, ...] = (partition,)
"""What can be said even of families whose history is not whole."""
FAMILY_RULES: tuple[FamilyRule, ...] = (
    partition, once, legal, order, content, fulfillment, cause, projection, stuck, settled,
)  # fmt: skip


def _waiting(family: Family) -> list[Pending]:
    """The pending steps of entities that exist; those of others belong to the rules order and fulfillment."""
    return [pending for pending in family.pending if family.lives[pending.step.topic].steps]


def _missing(family: Family, terms: Terms, life: Life) -> Iterator[Fault]:
    """The entity itself, where it does not exist and should."""
    if not life.steps:
        for pending in family.pending:
            if pending.step.topic == life.lifecycle.topic and (terms.settled or terms.overdue(pending.since)):
                yield pending.since, _waits(family, pending, terms)


def _waits(family: Family, pending: Pending, terms: Terms) -> str:
    step, since = pending
    seconds = max(0, terms.age(since)) / 1000
    entity = family.lives[step.topic].latest
    state = "" if entity is None or entity is since else f" ({entity.name} is {entity.status})"
    return f"{since.name} is {since.status}{state}: {step.name} has been pending for {seconds:.0f} s"


def _may_become(first: str, before: str | None) -> str:
    return f"its first status is {first}" if before is None else f"it is {before}"
