"""One instance of a service: a process in its slot, started again when it ends, and every end of it counted."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.paths import ROOT
from local.server import tied
from local.supervisor import back_off

WATCHDOG = 70
END_WITHIN = 6.0  # seconds from SIGTERM to SIGKILL; services promise 5


@dataclass(frozen=True)
class Exit:
    """The end of a process. ``asked``: the harness ended it, or let it end."""

    at: float
    name: str
    code: int
    asked: bool


class Instance:
    """It is started by a thread that lives as long, because the kernel ties a child to the thread that made it."""

    def __init__(self, service: str, slot: str, environment: Mapping[str, str], logs: Path) -> None:
        self.service = service
        self.name = f"{service}-{slot}"
        self.log = logs / f"{self.name}.log"
        self.exits: list[Exit] = []
        self.started_at: list[float] = []
        self.settings: dict[str, str] = {}
        """Of the next process, besides those of all."""
        self.command: list[str] | None = None
        """Of the next process only."""
        self.excused = False
        """Whether it may end by itself for now."""
        self._environment = os.environ | environment | {"INSTANCE": slot}
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False
        self._held = threading.Event()
        self._held.set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_running, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, number: signal.Signals) -> None:
        """Sends the process a signal, if it runs."""
        process = self._process
        if process is not None:
            self._asked = self._asked or number in {signal.SIGKILL, signal.SIGTERM}
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def hold(self) -> None:
        """Is not started again from now on, until ``release``."""
        self._held.clear()

    def release(self) -> None:
        self._held.set()

    def end(self) -> None:
        """SIGTERM, SIGKILL if that takes too long, and no new start."""
        self._over.set()
        self._held.set()
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        self._thread.join(END_WITHIN)
        if self._thread.is_alive():
            self.send(signal.SIGKILL)
            self._thread.join()

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def until_ended(self, seconds: float) -> int | None:
        """The exit code of the process that runs now, once it has ended; None: it has not."""
        process = self._process
        deadline = time.monotonic() + seconds
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return None if process is None else process.poll()

    def _keep_running(self) -> None:
        delay = 0.0
        while not self._over.is_set():
            began = time.monotonic()
            code = self._run_once()
            self.exits.append(Exit(time.time(), self.name, code, self._asked or self.excused))
            self._asked, self._process = False, None
            delay = back_off(delay, time.monotonic() - began)
            self._over.wait(delay)
            self._held.wait()

    def _run_once(self) -> int:
        command, self.command = self.command or [sys.executable, "main.py"], None
        with self.log.open("ab") as output:
            self._process = process = subprocess.Popen(
                tied(command, signal.SIGKILL),
                cwd=ROOT / self.service,
                env=self._environment | self.settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at.append(time.time())
        return process.wait()
