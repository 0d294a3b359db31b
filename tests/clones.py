"""Clones of this repository as git makes them on other machines."""

import os
import subprocess
from pathlib import Path

from local.paths import ROOT

WINDOWS = ("core.autocrlf=true", "core.eol=crlf", "core.symlinks=false", "core.fileMode=false")


def clone(folder: Path, *settings: str, umask: int = 0o022) -> Path:
    """A clone of the commit that is checked out here, made with these settings of git under this umask."""
    options = [word for setting in settings for word in ("-c", setting)]
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", *options, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)]
    subprocess.run(command, env=environment, check=True, umask=umask)
    return folder
