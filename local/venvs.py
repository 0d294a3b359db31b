"""The virtual environments: one for each service, as a person would make it by hand, and one for the tools."""

import hashlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from local.commands import Say, run, together
from local.errors import Refusal
from local.files import remove, require_room
from local.locks import wait_for
from local.paths import ROOT

SERVICES = ("checkout", "order", "fulfillment", "analytics")
EDITABLE = re.compile(r"^(?:-e|--editable)[ =](\S+)$", re.MULTILINE)
PIP_OPTIONS = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-user")


@dataclass(frozen=True)
class Venv:
    """One environment: what `python -m venv` and `pip install -r` in `folder` make of a file of exact pins."""

    name: str
    folder: Path
    home: Path
    requirements: Path
    megabytes: int = 150
    """What it takes on the disk, and some more."""

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    @property
    def _stamp(self) -> Path:
        return self.home / "made-from"

    def is_made(self) -> bool:
        """Whether it is what its requirements, this Python and this place in the file system ask for."""
        return self._stamp.is_file() and self._stamp.read_text(errors="replace") == self._made_from()

    def ensure(self, say: Say) -> None:
        """Make it, unless it is made. Raises Refusal where that fails."""
        if not self.requirements.is_file():
            raise Refusal(f"{self.requirements} is missing: run make requirements.")
        if self.is_made():
            return
        with wait_for(f"venv-{self.name}"):
            if not self.is_made():
                self._make(say)

    def _make(self, say: Say) -> None:
        say(f"{self.name}: making its environment")
        remove(self.home)
        require_room(self.home, self.megabytes)
        self.home.mkdir(parents=True)
        run([sys.executable, "-m", "venv", self.home], self.folder, "make a venv", say)
        self._install(say)
        self._stamp.write_text(self._made_from())
        say(f"{self.name}: environment is ready")

    def _install(self, say: Say) -> None:
        """What `pip install -r` does, in two steps: the second writes into the shared folder that it installs."""
        pip: list[str | Path] = [self.python, "-m", "pip", "install", *PIP_OPTIONS]
        own = EDITABLE.findall(self.requirements.read_text())
        pins = self.home / "pins.txt"
        pins.write_text(EDITABLE.sub("", self.requirements.read_text()))

        def tell(line: str) -> None:
            say(f"{self.name}: {line.partition(' (from ')[0]}")

        run([*pip, "-r", pins.relative_to(self.folder)], self.folder, f"install what {self.name} needs", tell)
        if own:
            editables = [word for path in own for word in ("-e", path)]
            with wait_for("shared"):
                run([*pip, "--no-deps", *editables], self.folder, f"install {' '.join(own)}", tell)

    def _made_from(self) -> str:
        shared = ROOT / "shared" / "pyproject.toml"
        files = b"".join(file.read_bytes() for file in (self.requirements, shared) if file.is_file())
        return f"{hashlib.sha256(files).hexdigest()} {self.home} {sys.version}"


def require_tools() -> None:
    """Raise Refusal where this Python cannot make environments (Debian has that part in a package of its own)."""
    if importlib.util.find_spec("ensurepip") is None:
        raise Refusal(f"{sys.executable} cannot make virtual environments: install that (apt install python3-venv).")


def of_service(name: str) -> Venv:
    folder = ROOT / name
    return Venv(name, folder, folder / "venv", folder / "requirements.txt")


def of_tools() -> Venv:
    """For tests, linters and benchmarks: everything that any service needs, and the tools."""
    return Venv("tools", ROOT, ROOT / ".venv", ROOT / "requirements-dev.txt", megabytes=500)


def ensure_all(venvs: list[Venv], say: Say) -> None:
    """Make those that are not made, at the same time."""
    with together() as pool:
        list(pool.map(lambda venv: venv.ensure(say), venvs))
