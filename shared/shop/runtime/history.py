"""The output records that are still needed, in log order, and what is known of the entities they are of."""

from collections import deque
from dataclasses import dataclass

from shop.runtime.closed import ClosedEntities
from shop.runtime.entity import Entity, Held
from shop.runtime.limits import Limits
from shop.runtime.log import Record


@dataclass(frozen=True)
class AbandonedEntity:
    """An open entity that is waited for no longer, and where its latest event lies."""

    entity: Entity
    offset: int


class History:
    """A record is needed while its entity is open and it is the latest of it, while it may prove a trigger done, and
    within the dedupe window.

    Memory is bounded: ``dedupe_limit`` records, and beyond them open entities, ``hold_limit`` records back at most.
    Of a closed entity that may prove a trigger done only the id and the status are kept beyond them.
    """

    def __init__(self, limits: Limits) -> None:
        self.entities: dict[str, Entity] = {}
        """Entities by id, those too of which only triggers speak."""
        self.latest = 0.0
        """The time stamp of the last record."""
        self._limits = limits
        self._recent: deque[Held] = deque()
        self._waiting: deque[Held] = deque()
        """Latest records of open entities that are not recent."""
        self._closed = ClosedEntities()
        self._closed_until = 0

    def known(self, entity_id: str) -> Entity:
        """What is known of an entity: a closed one may be made for this answer, any other is remembered."""
        entity = self.entities.get(entity_id)
        if entity is None:
            status = self._closed.status(entity_id) if self._closed else None
            if status is not None:
                return Entity(entity_id, status, open=False)
            entity = self.entities[entity_id] = Entity(entity_id)
        return entity

    def knows(self, entity_id: str) -> bool:
        return entity_id in self.entities or (bool(self._closed) and self._closed.status(entity_id) is not None)

    def hold(self, entity: Entity, record: Record) -> Entity:
        """Takes in the latest record of an entity."""
        entity.offset = record.offset
        if not entity.open:
            entity.value = b""
        self.latest = record.timestamp
        self._recent.append((record.offset, record.timestamp, entity))
        return entity

    def first_needed(self, floor: int) -> int:
        """The offset of the first record that is needed, ``floor`` at most. It is that of the last ``trim``."""
        return min([floor, *(records[0][0] for records in (self._recent, self._waiting) if records)])

    def trim(self, end: int, floor: int, horizon: float) -> list[AbandonedEntity]:
        """Forgets what is not needed any more, now that all below ``end`` is read: ``floor`` is the offset from which
        on a record may prove a trigger done, ``horizon`` the time stamp at which the dedupe window begins."""
        if floor > self._closed_until and self._closed:
            self._closed = ClosedEntities()
        abandoned: list[AbandonedEntity] = []
        dedupe_limit, hold_limit = self._limits.dedupe_limit, self._limits.hold_limit
        while self._recent:
            offset, read_at, entity = self._recent[0]
            held, needed = end - offset, _is_needed(entity, offset)
            if needed and dedupe_limit < held <= hold_limit:
                self._waiting.append(self._recent.popleft())
                continue
            if held <= hold_limit if needed else held <= dedupe_limit and (offset >= floor or read_at > horizon):
                break
            self._recent.popleft()
            self._drop(entity, offset, floor, abandoned)
        while self._waiting:
            offset, _, entity = self._waiting[0]
            if _is_needed(entity, offset) and end - offset <= hold_limit:
                break
            self._waiting.popleft()
            self._drop(entity, offset, floor, abandoned)
        return abandoned

    def _drop(self, entity: Entity, offset: int, floor: int, abandoned: list[AbandonedEntity]) -> None:
        if entity.offset != offset:
            return
        self.entities.pop(entity.id, None)
        if entity.open:
            abandoned.append(AbandonedEntity(entity, offset))
        elif offset >= floor and entity.status is not None:
            self._closed.add(entity.id, entity.status)
            self._closed_until = max(self._closed_until, offset)


def _is_needed(entity: Entity, offset: int) -> bool:
    return entity.offset == offset and (entity.open or entity.triggers > 0)
