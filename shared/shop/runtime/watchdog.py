"""The last resort against a client call that hangs: ends the process, so that its supervisor starts it again."""

import os
import sys
import threading
import time

import structlog

EXIT_HUNG = 70

log = structlog.get_logger()


class Watchdog:
    """Exits the process when nobody calls ``beat`` for ``seconds`` of its own running time.

    It counts its own wake-ups and not the clock: a process that was stopped and goes on has not hung.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._silent_for = 0

    def start(self) -> None:
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @property
    def silent_for(self) -> int:
        """Seconds of this process's own running time since the last beat."""
        return self._silent_for

    def beat(self) -> None:
        self._silent_for = 0

    def _watch(self) -> None:
        while True:
            time.sleep(1.0)
            self._silent_for += 1
            if self._silent_for > self._seconds:
                log.critical("a client call hangs: ending the process", seconds=self._seconds)
                sys.stdout.flush()
                os._exit(EXIT_HUNG)
