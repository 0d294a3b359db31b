"""What compaction leaves of a partition, and what of an audit it explains.

Compaction drops every message behind which the part that it has cleaned holds another one with its key. So no two
messages of that part have the same key: it ends before the first message whose key an earlier one has. Up to there
rows may have lost their messages, and what began before it may have lost events; from there on everything is judged.
"""

from dataclasses import dataclass, field

from analytics_service.audit.messages import AuditedRange, Message
from shop.contract.events import Event
from shop.contract.lifecycle import LIFECYCLES

MANY = 10
"""Signs in a partition, at least, that make compaction the cause where no configuration says so.

One or two may be a publisher's fault."""

_FIRST = {lifecycle.first for lifecycle in LIFECYCLES}


@dataclass
class Remains:
    """What compaction would have left of one partition. ``gone``: rows (True) and dead letters without a message."""

    of: AuditedRange
    end: Message | None = None
    gone: list[tuple[int, bool]] = field(default_factory=list)
    _keys: set[bytes] = field(default_factory=set)
    _next: int = -1
    _missing: int = 0
    _headless: int = 0

    def add(self, message: Message, event: Event | str | None) -> None:
        """Takes in the next message, up to the end."""
        if self.end is not None:
            return
        if message.key in self._keys:
            self.end = message
            self._keys.clear()
            return
        if message.key is not None:
            self._keys.add(message.key)
        self._missing += message.offset - (self.of.start if self._next < 0 else self._next)
        self._next = message.offset + 1
        if event is not None and not isinstance(event, str) and event.status not in _FIRST:
            self._headless += 1

    def covers(self, offset: int) -> bool:
        """Whether compaction may have removed what was at this offset, as far as is known by now."""
        return self.end is None or offset < self.end.offset

    def until(self) -> float:
        """What began before this time, in milliseconds, may have lost events."""
        return float("inf") if self.end is None else self.end.time

    def show_compaction(self) -> bool:
        """Whether only that explains it: entities without first events, gaps for these, rows without messages."""
        begun_unseen = self.of.start == 0 or bool(self.gone)
        gaps_suffice = 0 < self._headless <= self._missing
        return begun_unseen and gaps_suffice and self._headless + len(self.gone) >= MANY


@dataclass
class Compacted:
    """One topic that is, or was, compacted: its cleanup.policy (None: not known), and what is known to be gone."""

    policy: str | None
    gone: int = 0

    def sentence(self) -> str:
        """What to tell of it, and what to do."""
        gone = f"{self.gone} stored messages are gone from it, and " if self.gone else ""
        told = f"{gone}what compaction may have removed is not judged"
        if not is_compacting(self.policy):
            return f"it was compacted: {told}"
        return f"it is compacted (cleanup.policy={self.policy}): {told}; ./init-kafka.sh ends that, or says how"


def is_compacting(policy: str | None) -> bool:
    """Whether this cleanup.policy says so."""
    return policy is not None and "compact" in policy.split(",")
