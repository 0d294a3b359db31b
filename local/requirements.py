"""Writes every requirements file anew from the pyproject.toml files: exact pins, the same in all of them.

    python -m local requirements [--upgrade]

Pins that still fit stay, unless --upgrade is given.
"""

import subprocess
from pathlib import Path

from local.commands import Say
from local.environment import chosen
from local.errors import Refusal
from local.paths import HOME, ROOT
from local.venvs import SERVICES, Venv

RESOLVER = "uv==0.13.9"
# For every Python from 3.11 on and every platform, with markers where they differ.
OPTIONS = ("--quiet", "--universal", "--python-version=3.11", "--no-header", "--no-annotate", "--no-emit-index-url")
HEADER = "# Exact pins, made by `make requirements` from the pyproject.toml files. Do not edit.\n"


def write(arguments: list[str], say: Say) -> None:
    """Write requirements-dev.txt, then each service's file with the same pins. Raises Refusal where that fails."""
    uv = _resolver(say)
    projects = ["shared/pyproject.toml", *(f"{service}/pyproject.toml" for service in SERVICES)]
    dev = "requirements-dev.txt"
    pins = _compile(uv, [*projects, "--group", "pyproject.toml:dev", *arguments], dev, "./shared")
    say(f"{dev} is written")
    for service in SERVICES:
        sources = ["shared/pyproject.toml", f"{service}/pyproject.toml", "--constraint", str(pins)]
        # And the service itself: Python looks not in main.py's folder where PYTHONSAFEPATH is set.
        _compile(uv, sources, f"{service}/requirements.txt", "../shared", ".")
        say(f"{service}/requirements.txt is written")


def _resolver(say: Say) -> Path:
    wanted = HOME / "resolver.txt"
    HOME.mkdir(exist_ok=True)
    if not wanted.is_file() or wanted.read_text() != RESOLVER:
        wanted.write_text(RESOLVER)
    venv = Venv("resolver", ROOT, HOME / "resolver", wanted)
    venv.ensure(say)
    return venv.home / "bin" / "uv"


def _compile(uv: Path, arguments: list[str], output: str, *editable: str) -> Path:
    """Write a requirements file, with these packages of ours, and return a file with its pins alone."""
    file = ROOT / output
    pins = HOME / "pins" / output.replace("/", "-")
    pins.parent.mkdir(parents=True, exist_ok=True)
    # The resolver keeps the pins that it finds in its output, but knows nothing of the lines for our own packages.
    old = file.read_text().splitlines(keepends=True) if file.is_file() else []
    pins.write_text("".join(line for line in old if not line.startswith(("#", "-e"))))
    done = subprocess.run(
        [uv, "pip", "compile", *OPTIONS, *arguments, "--output-file", pins],
        cwd=ROOT,
        env=chosen(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refusal(f"cannot resolve {output}: {done.stderr.strip()}")
    ours = "".join(f"-e {package}\n" for package in editable)
    file.write_text(HEADER + ours + pins.read_text())
    return pins
