"""The life of a service's process: how it starts, is stopped, and what its exit code says."""

import contextlib
import errno
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

from shop.edges import files
from shop.runtime.errors import UserError

EXIT_USER_ERROR = 2
LEAVE_SECONDS = 4.0


class Stop:
    """Becomes true when the process is asked to end (SIGTERM, Ctrl-C, a terminal that was closed).

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
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Who starts it with `nohup` wants it to outlive the terminal.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
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
    What an output cannot show is escaped: letters where it is not UTF-8, the name of a file that is no text."""
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(main: Callable[[], None]) -> NoReturn:
    """Runs ``main`` and exits: 0 when it returns, 2 with one sentence where a person has to mend something.

    Who reads the output may go away at any time, and it ends without a word then: ``| head``, a closed window.
    """
    _open_standard_streams()
    code = 0
    _be_of_no_country()
    try:
        code = _exit_code(main)
        sys.stdout.flush()
    except UserError as error:
        code = _refuse(str(error))
    except OSError as error:
        if not _is_gone(error):
            sentence = files.sentence(error)
            if sentence is None:
                raise
            code = _refuse(sentence)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # At once: the destructor of a Kafka client waits for many seconds for a broker that is away.
    os._exit(code)


def _exit_code(main: Callable[[], None]) -> int:
    """That of a library which ends the program itself: argparse after --help and for an argument that is wrong, rich
    where nobody reads the output."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) and not isinstance(end.__context__, BrokenPipeError) else 0
    return 0


def _refuse(sentence: str) -> int:
    # One of them may be full, and the other not.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        print(f"error: {sentence}", file=sys.stderr)
    return EXIT_USER_ERROR


def _is_gone(error: OSError) -> bool:
    """Whether it says that the pipe or the terminal at the other end was closed."""
    return error.filename is None and error.errno in {errno.EPIPE, errno.EIO}


def _open_standard_streams() -> None:
    """Whatever of them was closed by who started this goes to nobody. Else the next file or connection would get its
    number, and what somebody prints."""
    for number, mode, name in ((0, "r", "stdin"), (1, "w", "stdout"), (2, "w", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
