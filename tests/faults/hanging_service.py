"""Runs a service's own main.py with a consumer whose call hangs after the first message, and a watchdog that waits
for 3 s only.

    python -m tests.faults.hanging_service order

The product has no switch for this: what it imports is wrapped here.
"""

import runpy
import sys
import threading
from pathlib import Path

import confluent_kafka as ck

from shop.runtime import watchdog

SECONDS = 3


class HangingConsumer(ck.Consumer):
    def poll(self, timeout: float = -1) -> ck.Message | None:
        message = super().poll(timeout)
        if message is not None and message.error() is None:
            print("CALL HANGS", flush=True)
            threading.Event().wait()
        return message


class ImpatientWatchdog(watchdog.Watchdog):
    def __init__(self, seconds: int) -> None:
        super().__init__(min(seconds, SECONDS))


# Before anything imports them by name.
ck.Consumer = HangingConsumer  # type: ignore[misc]
watchdog.Watchdog = ImpatientWatchdog  # type: ignore[misc]
folder = Path(__file__).parents[2] / sys.argv[1]
sys.argv = [f"{sys.argv[1]}/main.py"]
sys.path.insert(0, str(folder))
runpy.run_path(str(folder / "main.py"), run_name="__main__")
