"""The servers that `up` left running, remembered in a file so that another process can find and end them."""

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from local.commands import Say
from local.errors import Refusal
from local.paths import HOME
from local.server import STOP_WITHIN

FILE = HOME / "up.json"


@dataclass(frozen=True)
class Background:
    """One process, known by its pid and the moment of its start, because a pid alone may be another's by now."""

    name: str
    pid: int
    born: int
    port: int

    def is_alive(self) -> bool:
        return _born(self.pid) == self.born

    def end(self) -> None:
        """End it cleanly, or after STOP_WITHIN seconds by force, and return when it is gone."""
        deadline = time.monotonic() + STOP_WITHIN
        how = signal.SIGTERM
        while self.is_alive():
            os.kill(self.pid, how)
            how = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
            time.sleep(0.1)


def remember(name: str, pid: int, port: int) -> None:
    """Add a process that runs now."""
    born = _born(pid)
    if born is not None:
        _write([*_read(), Background(name, pid, born, port)])


def running() -> dict[str, Background]:
    """Those that still run, by name."""
    return {process.name: process for process in _read() if process.is_alive()}


def end_all(say: Say) -> bool:
    """End those that run and forget all. Returns whether there was any."""
    found = running()
    for process in found.values():
        say(f"ending {process.name}")
        process.end()
    FILE.unlink(missing_ok=True)
    return bool(found)


def _born(pid: int) -> int | None:
    """When the process started, in clock ticks since the machine did; None when it does not run (any more)."""
    try:
        # The name of the program, in parentheses, may hold spaces and parentheses itself.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18])


def _read() -> list[Background]:
    """Raises Refusal where the file is not as `_write` left it: what runs then only a person can find."""
    if not FILE.is_file():
        return []
    try:
        return [Background(**entry) for entry in json.loads(FILE.read_text())]
    except (ValueError, TypeError):
        raise Refusal(
            f"{FILE} is damaged and does not tell what make up started: end Kafka and MariaDB of this checkout by "
            "their process ids if they still run, and remove the file."
        ) from None


def _write(processes: list[Background]) -> None:
    """At once or not at all: a full disk, or a kill, leaves what was there."""
    new = FILE.with_suffix(".new")
    new.write_text(json.dumps([asdict(process) for process in processes], indent=1))
    new.replace(FILE)
