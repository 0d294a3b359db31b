"""Locales that a machine need not have, made for a test."""

import shutil
import subprocess
from pathlib import Path

import pytest


def in_locale(language: str, folder: Path) -> dict[str, str]:
    """The environment of a program in that language, say tr_TR. Skips the test where no locale can be made."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales", language).is_file():
        pytest.skip("no locale can be made here (apt install locales)")
    name = f"{language}.UTF-8"
    folder.mkdir(parents=True, exist_ok=True)
    made = ["localedef", "-i", language, "-f", "UTF-8", str(folder / name)]
    subprocess.run(made, check=True, capture_output=True)
    return {"LOCPATH": str(folder), "LC_ALL": name}
