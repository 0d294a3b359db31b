"""What becomes of a program that ends, and of all of them when the stack is ended."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import supervisor
from local.binaries import ROOT
from local.console import Console
from local.supervisor import Program, back_off, end_all
from tests.local.waiting import wait_until

Start = Callable[..., Program]


class SupervisorLog:
    """A console's output, to be looked at while it is written."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w+b", buffering=0)
        self.descriptor = self._file.fileno()

    def getvalue(self) -> str:
        return os.pread(self.descriptor, 1_000_000, 0).decode()

    def count(self, text: str) -> int:
        return self.getvalue().count(text)

    def close(self) -> None:
        self._file.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SupervisorLog]:
    log = SupervisorLog(tmp_path / "log")
    yield log
    log.close()


@pytest.fixture
def start(log: SupervisorLog, tmp_path: Path) -> Iterator[Start]:
    programs = []

    def start(name: str, script: str) -> Program:
        console = Console(log.descriptor, ["short", "longer"], colour=False)
        program = Program(name, ["sh", "-c", script], console, tmp_path)
        programs.append(program)
        program.start()
        return program

    yield start
    end_all(programs, 0.1)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def pid_in(log: SupervisorLog, name: str) -> int:
    wait_until(lambda: re.search(rf"{name}=\d+\n", log.getvalue()), f"{name} has told its pid")
    told = re.findall(rf"{name}=(\d+)\n", log.getvalue())
    return int(told[-1])


def test_the_waits_double_up_to_30_seconds() -> None:
    waits = itertools.accumulate([0.0] * 7, lambda before, _: back_off(before, 0.1), initial=0.0)
    assert list(waits)[1:] == [1, 2, 4, 8, 16, 30, 30]


def test_after_a_minute_of_running_the_waits_begin_anew() -> None:
    assert back_off(30, ran=59) == 30
    assert back_off(30, ran=60) == 1


def test_a_program_that_ends_is_started_again_alone(
    start: Start, log: SupervisorLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "LONGEST_DELAY", 0.02)
    start("short", "echo once more; exit 2")
    start("longer", "echo steady=$$; sleep 60")
    steady = pid_in(log, "steady")
    wait_until(lambda: log.count("ended (exit code 2), starts again") >= 3, "three restarts")
    assert alive(steady)
    assert log.count("steady=") == 1


def test_a_killed_program_is_named_by_its_signal(start: Start, log: SupervisorLog) -> None:
    start("short", "kill -9 $$")
    wait_until(lambda: log.count("ended (signal SIGKILL), starts again in 1 s"), "the end is told")


def test_each_line_stands_under_its_programs_name(start: Start, log: SupervisorLog) -> None:
    start("short", "echo a; printf 'no newline at the end'; sleep 0.01")
    wait_until(lambda: log.count("starts again"), "it has ended")
    assert log.getvalue().splitlines()[:2] == ["short  | a", "short  | no newline at the end"]


def test_names_are_coloured_where_colour_is_wanted(log: SupervisorLog) -> None:
    console = Console(log.descriptor, ["a", "b"], colour=True)
    console.copy("b", "text")
    console.flush()
    assert log.getvalue() == "\033[33mb |\033[0m text\n"


def test_a_program_that_ignores_sigterm_is_killed_with_all_that_it_started(start: Start, log: SupervisorLog) -> None:
    program = start("short", "trap '' TERM; sh -c 'trap \"\" TERM; echo child=$$; sleep 60; sleep 60'; sleep 60")
    child = pid_in(log, "child")
    program.end(within=0.2)
    wait_until(lambda: log.count("did not end within"), "it is told")
    wait_until(lambda: not alive(child), "its child is gone")


def test_what_a_dead_program_had_started_ends_with_it(start: Start, log: SupervisorLog) -> None:
    start("short", "sleep 60 & echo child=$!; exit 1")
    child = pid_in(log, "child")
    wait_until(lambda: not alive(child), "its child is gone")


def test_ending_does_not_wait_for_a_back_off(start: Start, log: SupervisorLog) -> None:
    program = start("short", "exit 1")
    wait_until(lambda: log.count("starts again in 2 s"), "the second end")
    began = time.monotonic()
    program.end(within=5)
    assert time.monotonic() - began < 1


def test_a_program_that_was_never_started_can_be_ended(log: SupervisorLog, tmp_path: Path) -> None:
    console = Console(log.descriptor, ["a"], colour=False)
    Program("a", ["true"], console, tmp_path).end(within=1)


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(
        "import time; from pathlib import Path; from local.console import *; from local.supervisor import *\n"
        "console = Console(1, ['a'], colour=False)\n"
        "Program('a', ['sh', '-c', 'echo pid=$$; exec sleep 60'], console, Path('.')).start(); time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().rpartition("=")[2])
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(pid), "the program is gone")


def test_a_reader_that_went_away_is_noticed_once() -> None:
    lost = []
    read, write = os.pipe()
    os.close(read)
    console = Console(write, ["a"], colour=False, on_lost=lambda: lost.append(True))
    for _ in range(1000):
        console.copy("a", "nobody reads this")
    console.flush()
    assert lost == [True]
    os.close(write)
