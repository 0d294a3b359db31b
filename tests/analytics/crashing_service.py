"""Runs analytics with a database client that kills its process around the commit of the n-th batch.

    python -m tests.analytics.crashing_service before|after NUMBER

The product has no switch for this: its connection is wrapped here.
"""

import os
import runpy
import signal
import sys

from analytics_service.ingest import local_infile
from local.binaries import ROOT

POINT, NUMBER = sys.argv[1], int(sys.argv[2])


class CrashingConnection(local_infile.MemoryConnection):
    batches = 0
    loaded_since = False

    def announce(self, name: str, data: bytes) -> None:
        self.loaded_since = True
        super().announce(name, data)

    def commit(self) -> None:
        crash = False
        if self.loaded_since:
            self.loaded_since = False
            CrashingConnection.batches += 1
            crash = CrashingConnection.batches == NUMBER
        if crash and POINT == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().commit()
        if crash:
            os.kill(os.getpid(), signal.SIGKILL)


setattr(local_infile, "MemoryConnection", CrashingConnection)  # noqa: B010  # not to be typed away
sys.argv[1:] = []
runpy.run_path(str(ROOT / "analytics" / "main.py"), run_name="__main__")
