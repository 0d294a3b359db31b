"""The state of one partition number: the fold of the output topic, the triggers that wait, and the offsets that hold.

No I/O and no clock here: records go in, decisions and offsets come out. Everything is forgotten at a restore and
read again, so nothing in this module is ever undone.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog

from shop.contract.events import Event, parse, serialize
from shop.contract.rules import Rules, Transition
from shop.runtime.checkpoint import Start
from shop.runtime.clock import timestamp
from shop.runtime.entity import Entity, Input, Trigger, Verdict
from shop.runtime.hanging import checksum
from shop.runtime.history import AbandonedEntity, History
from shop.runtime.limits import Limits
from shop.runtime.log import Outgoing, Record
from shop.runtime.refusals import Refusals

KEPT_SECONDS = 1.0
"""What is due sooner keeps its parsed event; what waits longer is kept as bytes, which take a tenth of the memory."""

log = structlog.get_logger()


class PartitionState:
    """All entities whose events lie in one partition number.

    ``schedule`` is called with each trigger that has a due time; ``fire`` is to be called with it when that has come.
    Where the start is not proved, old triggers are not acted on: what proves them done may be gone from the topic.
    """

    def __init__(
        self,
        number: int,
        rules: Rules[Any],
        limits: Limits,
        start: Start,
        ends: Mapping[str, int],
        schedule: Callable[["PartitionState", Trigger, float], None],
        refusals: Refusals,
    ) -> None:
        self.number = number
        self.inputs = {topic: Input(start.offsets[topic], ends[topic]) for topic in rules.inputs}
        self.next = start.offsets[rules.topic]
        self.pending = 0
        self.doubts: list[Trigger] = []
        self._rules = rules
        self._lifecycle = rules.lifecycle
        self._limits = limits
        self._output_start = self.next
        self._restore_target = ends[rules.topic]
        self._output_end = -1
        self._published: str | bytes = start.published
        self._proof_begins = -math.inf if start.is_proved else math.inf
        self._schedule = schedule
        self._refusals = refusals
        # The method itself: to look it up for each event takes longer than to find that nobody wants to know.
        self._debug = log.bind(partition=number).debug
        self._history = History(limits)
        self._entities = self._history.entities
        self._live = False

    # ---- reading -------------------------------------------------------------------------------------------

    def read_output(self, record: Record, unix: float, elapsed: float) -> Entity | None:
        """Folds a record of the output topic; the entity when the record is its latest event, else None."""
        self.next = record.offset + 1
        if self._proof_begins == math.inf:
            self._proof_begins = record.timestamp
        entity = self._entities.get(record.key.decode("utf-8", "replace")) if record.key else None
        if entity is not None and entity.published and entity.published[0] == record.value:
            entity.published = entity.published[1:]
            return None if entity.published else self._history.hold(entity, record)
        try:
            event = parse(self._rules.topic, record.value)
        except ValueError as error:
            self._refusals.refuse("invalid", record, str(error))
            return None
        entity = self._entities.get(event.key) or self._history.known(event.key)
        before = entity.status
        if before is None or self._lifecycle.allows(before, event.status):
            self._reach(entity, event, record.value or b"", self._reached_at(event, record))
            if not self._live and self._ends_with(event):
                entity.open = False
            held = self._history.hold(entity, record)
            if self._live:
                self._follow(entity, event, unix, elapsed)
            return held
        if before is event.status and entity.offset is None:
            entity.value = record.value or b""
            return self._history.hold(entity, record)
        if not self._lifecycle.reaches(event.status, before):
            self._refusals.refuse("illegal", record, f"{event.key} is {before}, it cannot become {event.status}")
        return None

    def read_input(self, record: Record, unix: float, elapsed: float) -> None:
        """Takes in a record of somebody else's topic."""
        source = self.inputs[record.topic]
        source.next, source.at_end, source.latest = record.offset + 1, False, record.timestamp
        try:
            event = parse(record.topic, record.value)
        except ValueError as error:
            self._refusals.refuse("invalid", record, str(error))
            return
        transition = self._rules.transition(event)
        if transition is None or transition.becomes is None:
            return
        entity_id = transition.entity_id
        if self._may_be_done(record, source, entity_id):
            reason = (
                f"it is older than what the output topic still holds, so nothing proves that {entity_id} is undone"
            )
            self._refusals.refuse("unproved", record, reason)
            return
        entity = self._entities.get(entity_id) or self._history.known(entity_id)
        trigger = Trigger(
            entity,
            transition.needs,
            transition.becomes,
            self._due(transition, self._reached_at(event, record), unix, elapsed) if transition.delay else elapsed,
            record,
            event,
            source,
            # What proves a trigger done that a predecessor may have handled lies somewhere above the output start.
            self._output_start if record.offset < source.restore_target else self.next,
        )
        source.pending.append(trigger)
        entity.triggers += 1
        self.pending += 1
        self._dispatch(trigger, elapsed)

    def read_end(self, topic: str, offset: int) -> None:
        """Notes that everything below ``offset`` was read; it may lie beyond the last record's (a transaction's
        marker has an offset of its own)."""
        if topic == self._rules.topic:
            self.next = self._output_end = max(self.next, offset)
        else:
            source = self.inputs[topic]
            source.next, source.at_end = max(source.next, offset), True

    # ---- deciding ------------------------------------------------------------------------------------------

    @property
    def missing(self) -> int:
        """How many offsets of the output partition are still to be read before anything may be decided."""
        return max(0, self._restore_target - self.next)

    @property
    def is_held_up(self) -> bool:
        """Whether something is missing although everything was read that is given to readers now."""
        return self.missing > 0 and self._output_end == self.next

    def go_live(self, unix: float, elapsed: float) -> None:
        """Re-arms every open entity where it stood; from here on records lead to decisions."""
        self._live = True
        for entity in [one for one in self._entities.values() if one.open and one.status is not None]:
            self._follow(entity, parse(self._rules.topic, entity.value), unix, elapsed)

    def fire(self, trigger: Trigger, unix: float, elapsed: float) -> Outgoing | None:
        """The event that a trigger leads to now; None when it leads to none, or not yet.

        The event is part of the fold from here on. Unless it is committed, a restore must follow.
        """
        entity = trigger.entity
        entity.scheduled -= 1
        if self._judge(trigger) != "ready":
            if trigger.input is not None:
                self._dispatch(trigger, elapsed)
            self._reconsider(entity, elapsed)
            return None
        cause: Event | None = None
        latest: Event | bytes | None = None
        if trigger.input is None:
            latest = trigger.event
        elif trigger.record is not None:
            cause = trigger.event or parse(trigger.record.topic, trigger.record.value)
        if latest is None and entity.status is not None:
            latest = entity.value
        event = self._rules.decide(latest, cause, trigger.becomes, timestamp(unix))
        value = serialize(event)
        self._debug("decided", entity=entity.id, before=entity.status, status=event.status)
        self._reach(entity, event, value, unix)
        self._published = value
        entity.published += (value,)
        self._close(trigger)
        self._follow(entity, event, unix, elapsed)
        return Outgoing(self.number, entity.id, value)

    def open_entity(self, event: Event, unix: float, elapsed: float) -> Outgoing:
        """The first event of a new entity, which is part of the fold from here on. Unless it is committed,
        a restore must follow."""
        entity = self._entities[event.key] = Entity(event.key)
        value = serialize(event)
        self._reach(entity, event, value, unix)
        self._published = value
        entity.published = (value,)
        self._follow(entity, event, unix, elapsed)
        return Outgoing(self.number, entity.id, value)

    def resolve(self, doubts: list[Trigger], elapsed: float) -> None:
        """Judges doubtful triggers once more, now that the output partition has been read up to where it ended after
        they came: what its entity has not reached by now, it never will."""
        for trigger in doubts:
            self._dispatch(trigger, elapsed, final=True)

    def offsets(self) -> Iterator[tuple[str, int]]:
        """The offset to store for each topic: whatever can be read again from there on is not finished, and what
        proves the rest done is read again too."""
        self.trim()
        for topic, source in self.inputs.items():
            first = source.first_pending()
            yield topic, source.next if first is None or first.record is None else first.record.offset
        yield self._rules.topic, self._history.first_needed(self._floor())

    def trim(self) -> None:
        """Forgets what is not needed any more: often enough, a restore takes a bounded amount of memory."""
        for abandoned in self._history.trim(self.next, self._floor(), self._horizon()):
            self._abandon(abandoned)

    @property
    def is_proved(self) -> bool:
        """Whether a restore may go on from the offsets. While triggers that nothing proves undone are yet to be read,
        or may be read again, only one that begins at the start knows which they are."""
        if self._proof_begins > -math.inf and all(map(_is_past_restore, self.inputs.values())):
            self._proof_begins = -math.inf
        return self._proof_begins == -math.inf

    @property
    def published(self) -> str:
        """The checksum of the last event that was published here with its offsets."""
        return self._published if isinstance(self._published, str) else checksum(self._published)

    @property
    def open_entities(self) -> int:
        # A copy, because another thread may ask.
        return sum(entity.open for entity in list(self._entities.values()))

    # ---- inside --------------------------------------------------------------------------------------------

    def _reach(self, entity: Entity, event: Event, value: bytes, reached_at: float) -> None:
        entity.status, entity.value, entity.reached_at, entity.offset = event.status, value, reached_at, None
        entity.open = not self._lifecycle.is_final(event.status)

    def _ends_with(self, event: Event) -> bool:
        """Whether chance has it that nothing follows on this event."""
        transition = self._rules.transition(event)
        return transition is not None and transition.becomes is None

    def _may_be_done(self, record: Record, source: Input, entity_id: str) -> bool:
        """Whether the output event that would prove a trigger done may be gone from the topic."""
        return (
            record.timestamp <= self._proof_begins
            and record.offset < source.restore_target
            and not self._history.knows(entity_id)
        )

    def _follow(self, entity: Entity, event: Event, unix: float, elapsed: float) -> None:
        """Schedules what the latest event of an entity triggers by itself, and looks at what waited for it."""
        transition = self._rules.transition(event)
        if transition is not None and transition.becomes is None:
            entity.open = False
            entity.value = entity.value if entity.offset is None else b""
        elif transition is not None and transition.becomes is not None:
            entity.scheduled += 1
            due = self._due(transition, entity.reached_at, unix, elapsed)
            kept = event if due - elapsed < KEPT_SECONDS else None
            self._schedule(self, Trigger(entity, transition.needs, transition.becomes, due, event=kept), elapsed)
        self._reconsider(entity, elapsed)

    def _reconsider(self, entity: Entity, elapsed: float) -> None:
        if entity.waiting:
            waiting, entity.waiting = entity.waiting, []
            for trigger in waiting:
                self._dispatch(trigger, elapsed)

    def _judge(self, trigger: Trigger) -> Verdict:
        status = trigger.entity.status
        if status is trigger.needs:
            return "ready"
        if status is not None and self._lifecycle.reaches(trigger.becomes, status):
            return "done"
        if trigger.needs is not None and self._lifecycle.reaches(status, trigger.needs):
            return "early" if trigger.entity.scheduled else "doubtful"
        return "illegal"

    def _dispatch(self, trigger: Trigger, elapsed: float, final: bool = False) -> None:
        verdict = self._judge(trigger)
        if verdict != "ready" or trigger.due - elapsed > KEPT_SECONDS:
            trigger.event = None
        if verdict == "ready":
            trigger.entity.scheduled += 1
            self._schedule(self, trigger, elapsed)
        elif verdict == "early":
            trigger.entity.waiting.append(trigger)
        elif verdict == "doubtful" and not final:
            self.doubts.append(trigger)
        else:
            if trigger.record is not None and verdict != "done":
                reason = f"{trigger.entity.id} is {trigger.entity.status}, {trigger.becomes} needs {trigger.needs}"
                self._refusals.refuse("orphan" if verdict == "doubtful" else "illegal", trigger.record, reason)
            self._close(trigger)

    def _close(self, trigger: Trigger) -> None:
        if trigger.input is None or trigger.closed:
            return
        trigger.closed, trigger.record, trigger.event = True, None, None
        self.pending -= 1
        entity = trigger.entity
        entity.triggers -= 1
        if entity.status is None and not entity.triggers:
            self._entities.pop(entity.id, None)

    def _floor(self) -> int:
        """The output offset from which on a record may prove done a trigger that can be read again."""
        floor = self.next
        for source in self.inputs.values():
            first = source.first_pending()
            if first is not None:
                floor = min(floor, first.output_floor)
            elif source.next < source.restore_target:
                floor = self._output_start
        return floor

    def _horizon(self) -> float:
        """The log time before which duplicates are not known any more."""
        oldest = self._history.latest
        for source in self.inputs.values():
            first = source.first_pending()
            if first is not None and first.record is not None:
                oldest = min(oldest, first.record.timestamp)
            elif not source.at_end:
                oldest = min(oldest, source.latest)
        return oldest - self._limits.dedupe_window

    def _abandon(self, abandoned: AbandonedEntity) -> None:
        entity = abandoned.entity
        self._refusals.count("abandoned")
        log.error(
            "entity abandoned: it waited too long",
            topic=self._rules.topic,
            partition=self.number,
            offset=abandoned.offset,
            entity=entity.id,
            status=entity.status,
            held_records=self.next - abandoned.offset,
        )
        entity.open = False
        for trigger in entity.waiting:
            self._close(trigger)
        entity.waiting = []

    @staticmethod
    def _reached_at(event: Event, record: Record) -> float:
        """When a status was reached: a clock in the future must hold nothing up, so the broker's time bounds it."""
        if event.updated_at is None:
            return record.timestamp
        return min(event.updated_at.timestamp(), record.timestamp)

    @staticmethod
    def _due(transition: Transition, reached_at: float, unix: float, elapsed: float) -> float:
        """When to act, in elapsed seconds: a wrong clock here may shorten a delay and never prolong it."""
        return elapsed + min(transition.delay, reached_at + transition.delay - unix)


def _is_past_restore(source: Input) -> bool:
    """Whether all is read and closed that the input held when the restore began."""
    first = source.first_pending()
    return source.next >= source.restore_target and (
        first is None or first.record is None or first.record.offset >= source.restore_target
    )
