"""A scratch checkout: this one's local/, Makefile, init-kafka.sh and sql/, with services that do nothing but run.

Who lets `make` start its servers gets it from the fixture new_checkout.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from local.binaries import ROOT
from local.errors import Refusal
from local.server import free_port
from local.stack import CLUSTER, Layout
from tests.local.waiting import wait_until
from tools.kit import prepared

SERVICES = ("checkout", "order", "fulfillment", "analytics")

SERVICE = """
import os, signal, sys
print("runs on", os.environ["KAFKA_BOOTSTRAP"], os.environ["MARIADB_HOST"], os.environ["MARIADB_PORT"])
print("finds", " ".join(sorted(os.environ)))
print("is instance", os.environ.get("INSTANCE"), "with HTTP_PORT", os.environ.get("HTTP_PORT"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("leaves")))
while True:
    signal.pause()
"""

# As if pip and Maven had been here: the stamps are right, and python is this test's own.
STAMP = """
from local import binaries, venvs
binaries.STAMP.write_text(binaries._wanted())
for venv in map(venvs.of_service, venvs.SERVICES):
    venv._stamp.write_text(venv._made_from())
"""


class Checkout:
    """A checkout of its own with free ports, in which `make` can be called."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kafka_port, self.mariadb_port = _free_ports()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KAFKA_", "MARIADB_", "MAKE", "MFLAGS"))
        } | {"KAFKA_PORT": str(self.kafka_port), "MARIADB_PORT": str(self.mariadb_port), "PYTHON": sys.executable}
        self._started: Running | None = None
        self._copy()

    @classmethod
    def with_servers(cls, home: Path, *, set_up: bool = True) -> Self:
        """One whose `make` starts its servers, which have topics, rights and tables already where they are set up."""
        prepared.binaries()
        checkout = cls(home)
        if set_up:
            data = home / ".local" / "data"
            prepared.copy_topics_and_users(data / "kafka")
            prepared.copy_tables(data / "mariadb")
        return checkout

    def make(
        self, *arguments: str, before: Sequence[str] = (), **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Call make, by what is `before` it, and wait for its end."""
        return subprocess.run(
            [*before, _make(), *arguments],
            cwd=self.home,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, target: str) -> "Running":
        """Call make and do not wait."""
        self._started = Running(self, target)
        return self._started

    @property
    def running(self) -> "Running | None":
        """What was started last, if it still runs."""
        return self._started if self._started and self._started.runs() else None

    def end_all(self) -> None:
        """End whatever runs here."""
        if self.running:
            self.running.interrupt()
            self.running.wait(30)
        self.make("down")

    def processes(self) -> dict[int, str]:
        """Every process that runs something of this checkout, or in it, with its command line."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                within = Path(os.readlink(folder / "cwd")).is_relative_to(self.home)  # noqa: PTH115
            except OSError:
                continue
            if command and (within or str(self.home) in command):
                found[int(folder.name)] = command
        return found

    def pid_of(self, part: str) -> int:
        """The process whose command line, or working directory's name, has that in it."""
        for pid, command in self.processes().items():
            folder = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
            if part in command or Path(folder).name == part:
                return pid
        raise LookupError(part)

    def add(self, name: str) -> None:
        """Copy another folder of the real checkout."""
        made = shutil.ignore_patterns("__pycache__", "*.egg-info", "venv")
        shutil.copytree(ROOT / name, self.home / name, ignore=made)

    def _copy(self) -> None:
        self.home.mkdir(parents=True)
        shutil.copytree(
            ROOT / "local", self.home / "local", ignore=shutil.ignore_patterns("__pycache__"), symlinks=True
        )
        shutil.copytree(ROOT / "sql", self.home / "sql")
        for name in ("Makefile", "init-kafka.sh"):
            shutil.copy(ROOT / name, self.home)
        made = self.home / ".local"
        made.mkdir()
        for name in ("kafka", "mariadb"):
            (made / name).symlink_to(ROOT / ".local" / name)
        for service in SERVICES:
            python = self.home / service / "venv" / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)
            (self.home / service / "requirements.txt").touch()
            (self.home / service / "main.py").write_text(SERVICE)
        subprocess.run([sys.executable, "-c", STAMP], cwd=self.home, check=True)


NewCheckout = Callable[..., Checkout]


class Running:
    """A `make` in a session of its own, as at a terminal of its own."""

    def __init__(self, checkout: Checkout, target: str) -> None:
        self._checkout = checkout
        self._log = checkout.home / "make.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [_make(), target],
                cwd=checkout.home,
                env=checkout.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()

    def wait_for(self, text: str, times: int = 1, within: float = 60.0) -> None:
        """Return when it has printed that so many times."""
        wait_until(
            lambda: self.log.count(text) >= times or self._process.poll() is not None,
            f"{text} in:\n{self.log}",
            within,
        )
        assert self.log.count(text) >= times, f"ended before it printed {text}:\n{self.log}"

    def interrupt(self) -> None:
        """What Ctrl-C at its terminal does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def supervisor(self) -> int:
        """The pid of the program that make started."""
        return self._checkout.pid_of("-m local run")

    def wait(self, within: float) -> int:
        """Its exit code, when it has ended."""
        return self._process.wait(within)

    def runs(self) -> bool:
        return self._process.poll() is None


def refusal(made: "subprocess.CompletedProcess[str]") -> str:
    """The one sentence with which it refused."""
    words = made.stderr
    assert made.returncode == 2
    # What make itself has to say comes last, and cannot be helped.
    *_, sentence, _make = words.strip().splitlines()
    assert "Traceback" not in words
    return str(sentence)


def _make() -> str:
    make = shutil.which("make")
    assert make
    return make


def _free_ports() -> tuple[int, int]:
    """Ports for KAFKA_PORT and MARIADB_PORT with which all that they lead to is free."""
    while True:
        kafka, mariadb = free_port(), free_port()
        with contextlib.suppress(Refusal):
            Layout.at(CLUSTER, kafka, mariadb).require_free()
            return kafka, mariadb
