"""Who keeps this service from storing: a reader may hold locks that a writer has to wait for, as long as it likes.

The database tells it in ``locks.blocker``, and ends a session for us with ``locks.end_blocker`` (sql/015-locks.sql).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from shop.edges.database import explain
from shop.edges.settings import DatabaseSettings
from shop.runtime.errors import UserError

LOOK_SECONDS = 1.0
NOTICE_SECONDS = 3.0
"""A wait that is shorter is nobody's concern."""
TIMEOUT_SECONDS = 30.0
"""A session that storing has waited on for so long is ended."""
FORGET_SECONDS = 15.0
"""Longer than the longest pause between two attempts to store, in which nobody waits."""

_BLOCKERS = text("SELECT id, user, host, running, may_be_ended FROM locks.blocker")
_END = text("CALL locks.end_blocker(:session)")

log = structlog.get_logger()


@dataclass(frozen=True)
class Blocker:
    """A session of the database that storing waits for."""

    session: int
    user: str
    host: str
    running: bool
    may_be_ended: bool

    def __str__(self) -> str:
        return f"session {self.session} ({self.user} from {self.host}, {'running' if self.running else 'idle'})"


@dataclass
class _Wait:
    """When a blocker was seen first and last, and until when nothing more is said or done about it."""

    blocker: Blocker
    since: float
    seen: float
    quiet_until: float


class LockWatch:
    """Looks every second, from a thread of its own: says who holds storing up, and ends that session after
    ``timeout`` seconds without any storing in between. Its failures stop nothing.

    ``stored`` tells how often something was stored. ``look`` is the seconds between two looks.
    """

    def __init__(
        self,
        engine: Engine,
        settings: DatabaseSettings,
        stored: Callable[[], int],
        *,
        timeout: float = TIMEOUT_SECONDS,
        look: float = LOOK_SECONDS,
    ) -> None:
        # What is looked at is not part of any transaction.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._settings = settings
        self._stored = stored
        self._timeout = timeout
        self._notice = min(NOTICE_SECONDS, timeout / 2)
        self._look_seconds = look
        self._progress = 0
        self._waits: dict[int, _Wait] = {}
        self._refused = False
        self._waits_for: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="locks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Looks no more. Does not wait for a look that is under way."""
        self._ended.set()

    @property
    def waits_for(self) -> str | None:
        """For whom storing has waited for some seconds by now, in a few words; None: for nobody."""
        return self._waits_for

    def _run(self) -> None:
        while not self._ended.wait(self._look_seconds):
            try:
                self._look(time.monotonic())
            except DBAPIError as error:
                self._failed(error)

    def _look(self, now: float) -> None:
        with self._engine.connect() as connection:
            blockers = [Blocker(*row) for row in connection.execute(_BLOCKERS)]
            for wait in self._note(blockers, now):
                self._act(wait, now, lambda session: connection.execute(_END, {"session": session}))

    def _note(self, blockers: list[Blocker], now: float) -> list[_Wait]:
        """The waits that go on now, those that have lasted longest first."""
        progress = self._stored()
        if progress != self._progress:
            self._progress, self._waits = progress, {}
        self._waits = {name: wait for name, wait in self._waits.items() if now - wait.seen < FORGET_SECONDS}
        for one in blockers:
            wait = self._waits.setdefault(one.session, _Wait(one, now, now, now + self._notice))
            wait.blocker, wait.seen = one, now
        present = sorted((wait for wait in self._waits.values() if wait.seen == now), key=lambda wait: wait.since)
        longest = min(self._waits.values(), key=lambda wait: wait.since, default=None)
        waits = longest is not None and now - longest.since >= self._notice
        self._waits_for = f"{longest.blocker}, for {now - longest.since:.0f} s" if longest and waits else None
        return present

    def _act(self, wait: _Wait, now: float, end: Callable[[int], object]) -> None:
        if now < wait.quiet_until:
            return
        seconds = now - wait.since
        one = wait.blocker
        told = {"session": one.session, "user": one.user, "host": one.host, "seconds": round(seconds, 1)}
        if seconds < self._timeout:
            wait.quiet_until = wait.since + self._timeout
            log.warning("storing waits for a lock", **told, running=one.running)
        elif one.may_be_ended:
            end(one.session)
            log.warning("ended the session that storing waited for", **told, running=one.running)
            del self._waits[one.session]
        else:
            wait.quiet_until = now + self._timeout
            log.warning("storing waits for a lock, and may not end who holds it", **told, running=one.running)

    def _failed(self, error: DBAPIError) -> None:
        """A database that is away is said by whoever stores."""
        self._waits_for = None
        reason = explain(error, self._settings)
        if isinstance(reason, UserError) and not self._refused:
            self._refused = True
            log.warning("who holds locks cannot be told: apply sql/ again", reason=str(reason))
