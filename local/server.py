"""A server process of one's own, as the stack and the tests start and end it."""

import abc
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from local import ipv6
from local.environment import chosen
from local.errors import Refusal

HOST = ipv6.LOOPBACK
STOP_WITHIN = 30.0  # seconds from SIGTERM to SIGKILL; a server that is well needs less than one


class Server(abc.ABC):
    """One server on [::1] with its data under one folder. It can be stopped or killed, and started again on them.

    The process has a session of its own, so Ctrl-C at the terminal does not reach it. It lives no longer than the
    process that started it, unless told to.
    """

    setting: str
    """What moves its ports, in a sentence that says that one is taken."""

    def __init__(self, name: str, home: Path, port: int, log: Path | None) -> None:
        self.name = name
        self.home = home.resolve()
        self.port = port
        self.log = (log or self.home / f"{self.name}.log").resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that it listens on."""
        return (self.port,)

    @property
    @abc.abstractmethod
    def command(self) -> list[str]:
        """The command line of the server; it stays in the foreground."""

    @property
    def environment(self) -> dict[str, str]:
        """What the server's environment has besides what is chosen for all."""
        return {}

    @property
    @abc.abstractmethod
    def folder(self) -> Path:
        """Where it runs. Paths are told it from there: that of the checkout may have letters, such as a comma, that a
        setting takes for something else."""

    def told(self, path: Path) -> str:
        """That path, from its folder."""
        return os.path.relpath(path, self.folder)

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make the data directory where there is none, and write the settings. It never touches data that is there.

        Takes about half a second the first time. Raises Refusal with the reason where it cannot.
        """

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether the server does what it is asked to by now."""

    def start(self, *, outlive: bool = False) -> None:
        """Prepare and start; return at once. With `outlive` it stays when this process ends.

        (It can be tied to this process's life only where the caller is the main thread: the kernel counts threads.)
        Raises Refusal where the port is taken.
        """
        self.prepare()
        self.require_ports()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        outlive = outlive or threading.current_thread() is not threading.main_thread()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command if outlive else tied(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=chosen() | self.environment,
                start_new_session=True,
            )

    def require_ports(self) -> None:
        """Raise Refusal where somebody else listens on a port that it needs."""
        for port in self.ports:
            require_free(port, self.name, self.setting)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when it answers. Raises Refusal, naming the log, when it ended or did not answer in time."""
        deadline = time.monotonic() + timeout
        while not self.answers():
            if self._process is not None and self._process.poll() is not None:
                code = self._process.returncode
                raise Refusal(f"{self.name} ended at its start with exit code {code}: see {self.log}.")
            if time.monotonic() > deadline:
                raise Refusal(f"{self.name} does not answer after {timeout:.0f} s: see {self.log}.")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it cleanly (SIGTERM) and wait for the end. Does nothing when it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL) and wait for the end."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The pid of the running server itself, not of some wrapper. Raises LookupError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise LookupError(f"{self.name} does not run")
        return self._process.pid

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)  # a test may have stopped it
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def tied(command: Sequence[str], how: signal.Signals = signal.SIGTERM) -> list[str]:
    """The same command, which is sent that signal when this process ends."""
    program = str(Path(__file__).with_name("tied.py"))
    return [sys.executable, "-I", "-S", program, str(os.getpid()), str(int(how)), *command]


def free_port() -> int:
    """A port on [::1] that nobody listens on now.

    Below the range from which the system gives ports to connections: a client that tries again and again to reach a
    server that is down would else be given that very port one day, and be connected to itself.
    """
    while True:
        port = random.randrange(15_000, 30_000)
        with socket.socket(socket.AF_INET6) as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


def require_free(port: int, name: str, setting: str) -> None:
    """Raise Refusal where somebody listens on the port already, on this address or on all; or where IPv6 is off."""
    ipv6.require()
    with socket.socket(socket.AF_INET6) as probe:
        # As the servers do: a connection of an earlier run that is not quite over is no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as taken:
            raise Refusal(
                f"{name} cannot have port {port} on [{HOST}] ({os.strerror(taken.errno or 0)}): "
                f"end what uses it, or choose another one with {setting}=..."
            ) from taken
