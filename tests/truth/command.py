"""The command, as a person runs it."""

import subprocess
import sys
from collections.abc import Mapping

from local.binaries import ROOT


def run_truth(environment: Mapping[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "truth", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
