"""What becomes of `make run` when its terminal is paused or closed, and when it is stopped or killed itself."""

import contextlib
import os
import pty
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.checkout import SERVICES, Checkout, NewCheckout
from tests.local.waiting import wait_until

ENDS_WITHIN = 10.0
PAUSE, GO_ON = b"\x13", b"\x11"  # Ctrl-S, Ctrl-Q
CHATTY = """
import itertools, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
for number in itertools.count():
    print("line", number, "x" * 200)
    open("progress", "w").write(str(number))
"""


class Terminal:
    """A terminal of its own, and the command that runs in it."""

    def __init__(self, checkout: Checkout, command: str) -> None:
        self._checkout = checkout
        self.pid, self._keyboard = pty.fork()
        if self.pid == 0:
            os.chdir(checkout.home)
            os.execvpe("bash", ["bash", "-c", command], {**checkout.environment, "TERM": "xterm"})
        self._open = True

    def read_until(self, text: str, within: float = 60.0) -> str:
        """What it shows until that is there."""
        shown, deadline = b"", time.monotonic() + within
        while text.encode() not in shown:
            assert time.monotonic() < deadline, f"not within {within} s: {text} in {shown[-2000:]!r}"
            if select.select([self._keyboard], [], [], 0.1)[0]:
                shown += os.read(self._keyboard, 65_536)
        return shown.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def close(self) -> None:
        """Close the window."""
        if self._open:
            self._open = False
            os.close(self._keyboard)

    def supervisor(self) -> int:
        return self._checkout.pid_of("-m local run")


@pytest.fixture(scope="module")
def checkout(new_checkout: NewCheckout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """With its servers up, which stay, and services that print without a pause."""
    checkout = new_checkout(tmp_path_factory.mktemp("terminal") / "checkout")
    for service in SERVICES:
        (checkout.home / service / "main.py").write_text(CHATTY)
    # The topics are there, and none of the services looks at them: it would only start five Java machines each time.
    (checkout.home / "init-kafka.sh").write_text("echo init-kafka: topic order is there\n")
    made = checkout.make("up")
    assert made.returncode == 0, made.stderr
    yield checkout
    checkout.end_all()


@pytest.fixture
def servers(checkout: Checkout) -> set[int]:
    """The processes that are there before."""
    return set(checkout.processes())


@pytest.fixture
def terminal(checkout: Checkout, servers: set[int]) -> Iterator[Terminal]:
    terminal = Terminal(checkout, "exec make run")
    try:
        terminal.read_until("all started")
        terminal.read_until("line 1")
        yield terminal
    finally:
        terminal.close()
        for pid in set(checkout.processes()) - servers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def until_only(checkout: Checkout, servers: set[int]) -> None:
    wait_until(lambda: set(checkout.processes()) == servers, "all but the servers is gone", ENDS_WITHIN)


def stands_still(file: Path) -> bool:
    """Whether a service waits: its log is not taken."""
    before = file.read_text() if file.is_file() else ""
    time.sleep(0.3)
    return before != "" and file.read_text() == before


def test_a_paused_terminal_is_waited_for_without_work(checkout: Checkout, terminal: Terminal) -> None:
    terminal.type(PAUSE)
    wait_until(lambda: stands_still(checkout.home / "order" / "progress"), "the pipe to be full")
    used = _seconds_of(terminal.supervisor())
    time.sleep(1)
    assert _seconds_of(terminal.supervisor()) - used < 0.2, "it spins"
    terminal.type(GO_ON)
    terminal.read_until("line")


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C", "closed"])
def test_a_paused_terminal_keeps_nothing_from_ending(
    checkout: Checkout, servers: set[int], terminal: Terminal, how: str
) -> None:
    terminal.type(PAUSE)
    wait_until(lambda: stands_still(checkout.home / "order" / "progress"), "the pipe to be full")
    match how:
        case "SIGTERM":
            os.kill(terminal.supervisor(), signal.SIGTERM)
        case "Ctrl-C":
            terminal.type(b"\x03")
        case _:
            terminal.close()
    until_only(checkout, servers)


@pytest.mark.parametrize("how", ["closed", "stopped and killed", "make killed"])
def test_nothing_is_left_without_a_parent(
    checkout: Checkout, servers: set[int], terminal: Terminal, how: str
) -> None:
    match how:
        case "closed":
            terminal.close()
        case "stopped and killed":
            os.kill(terminal.supervisor(), signal.SIGSTOP)
            os.kill(terminal.supervisor(), signal.SIGKILL)
        case _:
            os.kill(terminal.pid, signal.SIGKILL)
    until_only(checkout, servers)


def test_a_job_that_is_stopped_ends_with_its_window(checkout: Checkout, servers: set[int]) -> None:
    terminal = Terminal(checkout, "set -m; make run; sleep 61")
    terminal.read_until("all started")
    os.killpg(os.getpgid(terminal.supervisor()), signal.SIGSTOP)  # what Ctrl-Z does
    wait_until(lambda: "sleep 61" in str(checkout.processes().values()), "the shell to go on")
    terminal.close()
    until_only(checkout, servers)


def test_a_reader_that_has_enough_ends_all_of_it_without_a_traceback(checkout: Checkout, servers: set[int]) -> None:
    terminal = Terminal(checkout, "make run | head -1; echo over")
    assert "Traceback" not in terminal.read_until("over")
    until_only(checkout, servers)
    terminal.close()


def test_under_nohup_it_outlives_its_terminal(checkout: Checkout, servers: set[int]) -> None:
    terminal = Terminal(checkout, "nohup make run >nohup.log 2>&1 & sleep 60")
    log = checkout.home / "nohup.log"
    wait_until(lambda: log.is_file() and "| line 1" in log.read_text(), "all to be started")
    terminal.close()
    wait_until(lambda: "sleep 60" not in str(checkout.processes().values()), "the shell to be gone")
    size = log.stat().st_size
    wait_until(lambda: log.stat().st_size > size + 100_000, "it to go on")
    os.kill(terminal.supervisor(), signal.SIGTERM)
    until_only(checkout, servers)


@pytest.mark.parametrize("output", [">&- 2>&-", ">/dev/full"])
def test_an_output_that_takes_nothing_stops_nothing(checkout: Checkout, servers: set[int], output: str) -> None:
    terminal = Terminal(checkout, f"exec make run {output}")
    wait_until(lambda: "main.py" in str(checkout.processes().values()), "the services")
    os.kill(terminal.supervisor(), signal.SIGTERM)
    until_only(checkout, servers)
    terminal.close()


def _seconds_of(pid: int) -> float:
    """Processor time that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
