"""Programs that are to run for good: each is started again when it ends, alone, with back-off."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.console import Console
from local.environment import chosen
from local.server import tied

FIRST_DELAY = 1.0  # seconds
LONGEST_DELAY = 30.0
STEADY_AFTER = 60.0
DRAIN_WITHIN = 1.0  # seconds for a dead program's last words


@dataclass
class Program:
    """One supervised command. `start` returns at once; `end` returns when nothing of it is left.

    It has a process group of its own, so Ctrl-C at the terminal does not reach it.
    """

    name: str
    command: Sequence[str]
    console: Console
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    when_orphaned: signal.Signals = signal.SIGKILL
    """What it gets when the supervising process is gone, however that ended."""
    note: str = ""
    """What a reader should know when it ended by itself, such as where its log is."""

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._keep_running, name=self.name, daemon=True)
        self._ending = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._guard = threading.Lock()  # a process is either seen by `end`, or not started any more

    def start(self) -> None:
        self._thread.start()

    def end(self, within: float) -> None:
        """Send SIGTERM and wait; after `within` seconds send SIGKILL. For one that was never started: nothing."""
        with self._guard:
            self._ending.set()
            self._signal(signal.SIGTERM)
        if not self._thread.is_alive():
            return
        self._thread.join(within)
        if self._thread.is_alive():
            self.console.say(self.name, f"did not end within {within:.0f} s: killed")
            self._signal(signal.SIGKILL)
            self._thread.join()

    def _keep_running(self) -> None:
        # In a thread that lives as long as the program may: the kernel ties a child to the thread that made it.
        delay = 0.0
        while not self._ending.is_set():
            started = time.monotonic()
            try:
                outcome = f"ended ({_meaning(self._run_once())})"
            except OSError as error:
                outcome = f"could not be started ({error.strerror})"
            if self._ending.is_set():
                return
            delay = back_off(delay, time.monotonic() - started)
            self.console.say(self.name, f"{outcome}, starts again in {delay:.0f} s{self.note}")
            self._ending.wait(delay)

    def _run_once(self) -> int:
        with self._guard:
            if self._ending.is_set():
                return 0
            self._process = process = subprocess.Popen(
                tied(self.command, self.when_orphaned),
                cwd=self.folder,
                env=chosen() | dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        assert process.stdout is not None
        reader = threading.Thread(target=self._copy, args=(process.stdout,), daemon=True)
        reader.start()
        code = process.wait()
        with self._guard:
            # What it may have started itself must not go on without it, nor keep the pipe open.
            self._signal(signal.SIGKILL)
            self._process = None
        reader.join(DRAIN_WITHIN)
        return code

    def _copy(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.console.copy(self.name, line.rstrip("\n"))

    def _signal(self, how: signal.Signals) -> None:
        """Signal its process group, if it was started and has not been cleared away."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)


def back_off(before: float, ran: float) -> float:
    """Seconds until the next start of what ran for `ran` seconds and was started after `before` seconds of waiting.

    1, 2, 4 and so on up to 30; and 1 again after it has run for a minute.
    """
    if before == 0 or ran >= STEADY_AFTER:
        return FIRST_DELAY
    return min(2 * before, LONGEST_DELAY)


def end_all(programs: Sequence[Program], within: float) -> None:
    """End them at the same time."""
    threads = [threading.Thread(target=program.end, args=(within,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _meaning(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
