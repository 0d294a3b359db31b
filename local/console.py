"""One log of many programs on the terminal, and what becomes of it when the terminal is paused or closed."""

import contextlib
import errno
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence

from local.files import FULL

COLOURS = (36, 33, 32, 35, 34, 31)
HELD = 100
"""Lines that wait to be printed, at most."""
SAY_WITHIN = 0.2  # seconds
RETRY = 0.2  # seconds


class Console:
    """Whole lines, each under its program's name, printed by a thread of its own.

    A terminal that is paused, a pipe that is not read and a full disk stop that thread. Then the programs' lines stay
    with the programs, and the supervisor goes on. When nobody can read any more, because the terminal or the pipe was
    closed, lines are dropped, and on_lost is called once.
    """

    def __init__(
        self, descriptor: int, names: Sequence[str], *, colour: bool, on_lost: Callable[[], None] = lambda: None
    ) -> None:
        self._descriptor = descriptor
        self._on_lost = on_lost
        self._width = max(map(len, names))
        self._colours = dict(zip(names, COLOURS * len(names), strict=False)) if colour else {}
        self._lines: queue.Queue[str] = queue.Queue(HELD)
        self._lost = False
        threading.Thread(target=self._print, name="console", daemon=True).start()

    def copy(self, name: str, line: str) -> None:
        """Print a program's line; waits while there is no room for it."""
        self._lines.put(self._under(name, line))

    def say(self, name: str, line: str) -> None:
        """Print a line about a program; where there is no room for it, not at all."""
        with contextlib.suppress(queue.Full):
            self._lines.put(self._under(name, line), timeout=SAY_WITHIN)

    def flush(self, within: float = 1.0) -> None:
        """Return when all is printed, or after so many seconds."""
        deadline = time.monotonic() + within
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _under(self, name: str, line: str) -> str:
        prefix = f"{name:<{self._width}} |"
        if name in self._colours:
            prefix = f"\033[{self._colours[name]}m{prefix}\033[0m"
        return f"{prefix} {line}\n"

    def _print(self) -> None:
        while True:
            line = self._lines.get()
            try:
                if not self._lost:
                    self._put(line.encode("utf-8", "replace"))
            except OSError:
                self._lost = True
                self._on_lost()
            self._lines.task_done()

    def _put(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                # Both end by themselves: a reader that is slow, and a full disk.
                if error.errno not in {errno.EAGAIN, *FULL}:
                    raise
                time.sleep(RETRY)


def wants_colour() -> bool:
    """By the conventions of no-color.org and force-color.org, of which the first wins; else on a terminal that is not
    TERM=dumb."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
