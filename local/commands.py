"""Other programs that do one thing and end, run with their progress shown."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from local.environment import chosen
from local.errors import Refusal
from local.server import tied

Say = Callable[[str], None]

PROGRESS_EVERY = 3.0  # seconds
LINE_WIDTH = 110

_running: set[subprocess.Popen[str]] = set()
_over = threading.Event()


def run(
    command: Sequence[str | Path],
    folder: Path,
    what: str,
    say: Say,
    *,
    environment: Mapping[str, str] | None = None,
    progress: str = "",
    tell_all: bool = False,
) -> None:
    """Run it to its end, and say its latest line now and then (or all), so that nobody takes it for stuck.

    Lines that tell its progress are those that begin with `progress`. Raises Refusal when it fails, after saying
    the last of its words. `what` completes "cannot ...".
    """
    if _over.is_set():
        raise Refusal(f"interrupted before it could {what}.")
    last: list[str] = []
    told = time.monotonic()
    with subprocess.Popen(
        tied([str(word) for word in command]),
        cwd=folder,
        env=chosen() | dict(environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C comes to this process alone, which ends what it started.
        start_new_session=True,
    ) as process:
        _running.add(process)
        assert process.stdout is not None
        # Text mode ends a line at a carriage return too, with which some programs show their progress.
        for line in map(str.strip, process.stdout):
            last = [*last[-9:], line]
            due = time.monotonic() - told >= PROGRESS_EVERY and line.startswith(progress)
            if tell_all or due:
                told = time.monotonic()
                say(line if tell_all else line[:LINE_WIDTH])
    _running.discard(process)
    if process.returncode:
        for line in [] if tell_all else last:
            say(line)
        raise Refusal(f"cannot {what} (exit code {process.returncode}): see above why, then try again.")


@contextmanager
def together() -> Iterator[ThreadPoolExecutor]:
    """A pool for commands at the same time: when the block fails or is interrupted, all of them are ended."""
    with ThreadPoolExecutor() as pool:
        try:
            yield pool
        except BaseException:
            end_all()
            raise


def end_all() -> None:
    """End whatever `run` runs in any thread, with all that it has started; and let it run nothing afterwards."""
    _over.set()
    for process in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
