"""What the fold knows of one entity, and the triggers that ask for its transitions. Plain data."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from shop.contract.events import Event
from shop.runtime.log import Record


@dataclass(slots=True, eq=False)
class Entity:
    """What the fold knows of one entity. ``status`` is None while only triggers speak of it."""

    id: str
    status: StrEnum | None = None
    value: bytes = b""
    reached_at: float = 0.0
    offset: int | None = None
    """Where its latest event lies in the output partition; None until it has been read back."""
    published: tuple[bytes, ...] = ()
    """Its events that were decided here and have not been read back yet, oldest first."""
    open: bool = True
    """Whether another event of it is to come."""
    scheduled: int = 0
    triggers: int = 0
    waiting: list["Trigger"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Trigger:
    """An event that asks for a transition; pending until it is closed. Without ``input`` it is an output event."""

    entity: Entity
    needs: StrEnum | None
    becomes: StrEnum
    due: float
    record: Record | None = None
    event: Event | None = None
    input: "Input | None" = None
    output_floor: int = 0
    closed: bool = False


@dataclass(slots=True, eq=False)
class Input:
    """How far one input partition has been read, and what of it is pending, in offset order."""

    next: int
    restore_target: int
    at_end: bool = False
    latest: float = 0.0
    pending: deque[Trigger] = field(default_factory=deque)

    def first_pending(self) -> Trigger | None:
        while self.pending and self.pending[0].closed:
            self.pending.popleft()
        return self.pending[0] if self.pending else None


Held = tuple[int, float, Entity]
"""Offset, time stamp and entity of an output record that was the latest of its entity when it was read. There is one
for each event: a NamedTuple takes six times as long to make."""


Verdict = Literal["ready", "done", "early", "doubtful", "illegal"]
"""What a trigger is worth, given the state of its entity. No Enum, whose members cost Python 3.11 a call each."""
