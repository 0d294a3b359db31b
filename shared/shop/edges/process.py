"""The life of a service's process: how it starts, is stopped, and what its exit code says."""

import contextlib
import gc
import io
import locale
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from shop.runtime.errors import UserError

EXIT_USER_ERROR = 2
LEAVE_SECONDS = 4.0


class Stop:
    """Becomes true when the process is asked to end (SIGTERM, Ctrl-C).

    The process ends ``LEAVE_SECONDS`` later at the latest: a client call that waits for a server that is away cannot
    be interrupted, and nothing is lost by a crash. The request is noticed by a thread that the signal wakes directly
    (``signal.set_wakeup_fd``), because Python runs no handler while the main thread is in such a call.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._awake, wake = socket.socketpair()
        wake.setblocking(False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self._watch, name="stop", daemon=True).start()

    def __call__(self) -> bool:
        return self._asked.is_set()

    def _watch(self) -> None:
        self._awake.recv(1)
        self._asked.set()
        time.sleep(LEAVE_SECONDS)
        print("ended without waiting for a server that does not answer", flush=True)
        os._exit(0)


def tune_interpreter() -> None:
    """Suits Python to a service, which makes tens of thousands of objects a second, nearly none of them in cycles.

    It looks for cyclic garbage seldom, and never among what is there now; by default a fifth of the time goes there.
    And threads take turns every 0.2 ms: one that talks to a server needs Python for a moment after each answer, and
    would wait 5 ms for it each time while another one computes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    sys.setswitchinterval(0.0002)


def _be_of_no_country() -> None:
    """Lets nothing depend on the caller's locale: in Turkish the Kafka client does not know SASL_PLAINTEXT any more.
    An output that is not UTF-8 lacks letters, which are escaped."""
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(main: Callable[[], None]) -> NoReturn:
    """Runs ``main`` and exits: 0 when it returns, 2 with one sentence where a person has to mend something."""
    code = 0
    _be_of_no_country()
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USER_ERROR
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: the destructor of a Kafka client waits for many seconds for a broker that is away.
    os._exit(code)
