"""Ctrl-C, `kill` and a closed terminal, all as one exception in the main thread."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody wants this to end. Like KeyboardInterrupt it is no Exception, so nothing swallows it by chance."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it the first such signal raises Interrupted, and the next ones are ignored: cleaning up goes on."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted

    # Who starts it with `nohup` wants it to outlive the terminal.
    heard = [each for each in SIGNALS if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, interrupt) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
