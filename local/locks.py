"""File locks under .local: they go with the process that holds them, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from local import files
from local.errors import Refusal
from local.paths import HOME


@contextmanager
def wait_for(name: str) -> Iterator[None]:
    """Hold the lock of this name, after whoever holds it now, in this process or another."""
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def claim_stack(verb: str) -> Iterator[None]:
    """Be the only one who starts or ends the stack of this checkout. Raises Refusal that names who does so now."""
    HOME.mkdir(exist_ok=True)
    files.require_ours()
    with (HOME / "stack.lock").open("a+", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read() or "another make"
            raise Refusal(f"{holder} is at work in this checkout: end it first (Ctrl-C where it runs).") from None
        lock.truncate(0)
        # Not to have the name in it is no reason to refuse: `make clean` is what makes room on a full disk.
        with contextlib.suppress(OSError):
            os.write(lock.fileno(), f"make {verb}".encode())
        yield
        lock.truncate(0)
