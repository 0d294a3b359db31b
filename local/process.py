"""How a program of this checkout ends: with an exit code, and one sentence where it could not do what it should."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable

from local import files
from local.errors import Refusal
from local.interrupt import Interrupted, interruptible

EXIT_REFUSED, EXIT_INTERRUPTED, EXIT_UNREAD = 2, 130, 141
GONE = (errno.EPIPE, errno.EIO)
"""Who read the output: a pipe or a terminal that was closed."""


def run(main: Callable[[], int | None]) -> int:
    """The exit code of `main`; or 2 after a last line that says why not, or 130 when it was interrupted. Where nobody
    reads the output any more it ends without a word, and with 141: it was not done to its end."""
    open_standard_streams()
    code = 0
    try:
        with interruptible():
            code = main() or 0
            sys.stdout.flush()
    except Refusal as refusal:
        code = _say(str(refusal), EXIT_REFUSED)
    except Interrupted:
        code = _say("interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        is_gone = error.filename is None and error.errno in GONE
        code = EXIT_UNREAD if is_gone else _say(files.sentence(error), EXIT_REFUSED)
    try:
        sys.stdout.flush()
    except OSError:
        # What it still holds would be complained about when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def open_standard_streams() -> None:
    """Whatever of them was closed by who started this goes to nobody. Else the next file that is opened would get its
    number, and what somebody prints."""
    for number, mode, name in ((0, "r", "stdin"), (1, "w", "stdout"), (2, "w", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Such as the name of a file that is no text.
        sys.stdout.reconfigure(errors="backslashreplace")


def _say(sentence: str, code: int) -> int:
    # One of them may be full, and the other not.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)
    return code
