"""The standard output of a service: whoever writes never waits for whoever reads."""

import atexit
import errno
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

HELD = 10_000
"""Pieces (lines, mostly) that wait to be written, at most. Above that the older half is left out."""
BLOCKED_SECONDS = 5.0
"""After so long without being taken, what is written counts as blocked."""
FLUSH_SECONDS = 1.0
RETRY_SECONDS = 0.2
_PASSING = (errno.EAGAIN, errno.ENOSPC, errno.EDQUOT)
"""The reader is slow, or the disk is full: both end by themselves."""


class Output(io.TextIOBase):
    """A text stream on a file descriptor that is written by a thread of its own.

    A terminal that is paused, a pipe that nobody reads and a disk that is full hold up that thread alone. What waits
    is held, and left out where it is too much; ``gap`` makes the line that says of how many. Where the reader is gone
    for good, everything is dropped from then on, and ``lost`` is called once.
    """

    def __init__(self, descriptor: int, gap: Callable[[int], str], lost: Callable[[], None] = lambda: None) -> None:
        self._descriptor = descriptor
        self._gap = gap
        self._when_lost = lost
        self._waiting: deque[str] = deque()
        self._left_out = 0
        self._is_lost = False
        self._writing_since: float | None = None
        self._changed = threading.Condition()
        self.dropped = 0
        """Pieces that were left out so far."""
        threading.Thread(target=self._run, name=f"output {descriptor}", daemon=True).start()
        # While the thread still runs: the interpreter's own flush comes after that.
        atexit.register(self.flush)

    @property
    def blocked_for(self) -> float:
        """Seconds for which what is being written has not been taken."""
        since = self._writing_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Takes the text and returns at once."""
        with self._changed:
            if self._is_lost:
                return len(text)
            if len(self._waiting) >= HELD:
                for _ in range(HELD // 2):
                    self._waiting.popleft()
                self._left_out += HELD // 2
                self.dropped += HELD // 2
            self._waiting.append(text)
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Returns when all is written, or after ``FLUSH_SECONDS``."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and self._writing_since is None, FLUSH_SECONDS)

    def _run(self) -> None:
        try:
            while True:
                self._put(self._next().encode("utf-8", "replace"))
        except OSError:
            with self._changed:
                self._is_lost = True
                self._waiting.clear()
                self._writing_since = None
                self._changed.notify_all()
            self._when_lost()

    def _next(self) -> str:
        with self._changed:
            self._writing_since = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting)
            self._writing_since = time.monotonic()
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                return self._gap(left_out)
            return self._waiting.popleft()

    def _put(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                if error.errno not in _PASSING:
                    raise
                time.sleep(RETRY_SECONDS)


def is_blocked() -> bool:
    """Whether nobody takes what this service logs."""
    return isinstance(sys.stdout, Output) and sys.stdout.blocked_for >= BLOCKED_SECONDS


def dropped() -> int:
    """Log lines that were left out because nobody took them."""
    return sys.stdout.dropped if isinstance(sys.stdout, Output) else 0
