"""A service's business as one table of transitions and two pure functions.

A row reads: when this event is seen and the entity is in that state, it becomes this, after so long.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from shop.contract.chance import Draw, draws
from shop.contract.events import Checkout, Event, Fulfillment, Order, parse
from shop.contract.lifecycle import TOPICS, Lifecycle

Own = TypeVar("Own", bound=Checkout | Order | Fulfillment)


@dataclass(frozen=True)
class Rule:
    """When an event of ``topic`` with status ``on`` is seen and the own entity is in status ``needs`` (None: does
    not exist yet), it becomes ``becomes``, ``after`` seconds later. Where ``becomes`` is a question to chance, None
    answers that nothing follows."""

    topic: str
    on: StrEnum
    needs: StrEnum | None
    becomes: StrEnum | Callable[[Draw], StrEnum | None]
    after: Callable[[Draw], float]


class Transition(NamedTuple):
    """What one event asks of one own entity; ``becomes`` is None when nothing follows."""

    entity_id: str
    needs: StrEnum | None
    becomes: StrEnum | None
    delay: float


@dataclass(frozen=True)
class Rules(Generic[Own]):
    """All that the runtime has to know of a service: pure, so the same input always decides the same.

    ``entity_of`` names the own entity that an event is about; ``next_event`` makes the event by which an entity
    reaches a status, from its latest event (None: it does not exist yet) and the event that triggers.
    """

    lifecycle: Lifecycle
    table: tuple[Rule, ...]
    entity_of: Callable[[Event], str]
    next_event: Callable[[Own | None, Event, StrEnum, datetime], Own]
    seed: int
    speed: float

    @property
    def topic(self) -> str:
        """The topic that the service owns."""
        return self.lifecycle.topic

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The topics of others that trigger transitions."""
        used = {rule.topic for rule in self.table} - {self.topic}
        return tuple(topic for topic in TOPICS if topic in used)

    def transition(self, event: Event) -> Transition | None:
        """What the event asks for; None when it triggers nothing."""
        rule = self._by_trigger.get((event.topic, event.status))
        if rule is None:
            return None
        entity_id = self.entity_of(event)
        chance = draws(self.seed, entity_id)
        becomes = rule.becomes if isinstance(rule.becomes, StrEnum) else rule.becomes(chance)
        delay = 0.0 if becomes is None else rule.after(chance) / self.speed
        return Transition(entity_id, rule.needs, becomes, delay)

    def decide(self, latest: Event | bytes | None, trigger: Event | None, status: StrEnum, now: datetime) -> Own:
        """The event by which the entity whose latest event is ``latest`` (None: it does not exist yet) reaches
        ``status``. ``trigger`` is None when that latest event is itself what triggers."""
        own: Own | None = parse(self.topic, latest) if isinstance(latest, bytes) else latest  # type: ignore[assignment]
        cause = own if trigger is None else trigger
        assert cause is not None, "an entity that does not exist triggers nothing"
        return self.next_event(own, cause, status, now)

    @cached_property
    def _by_trigger(self) -> Mapping[tuple[str, StrEnum], Rule]:
        return {(rule.topic, rule.on): rule for rule in self.table}


def at_once(_chance: Draw) -> float:
    """No delay."""
    return 0.0
