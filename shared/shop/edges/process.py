"""The life of a service's process: how it starts, is stopped, and what its exit code says."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from shop.runtime.errors import UserError

EXIT_USER_ERROR = 2


class Stop:
    """Becomes true when the process is asked to end (SIGTERM, Ctrl-C); the second request ends it at once."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def __call__(self) -> bool:
        return self._asked

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(number, signal.SIG_DFL)


def run(main: Callable[[], None]) -> NoReturn:
    """Runs ``main`` and exits: 0 when it returns, 2 with one sentence where a person has to mend something."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(EXIT_USER_ERROR)
    sys.exit(0)
