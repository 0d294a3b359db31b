"""The commands of analytics on a terminal that is paused or closed, in a pipe, and with an output that is full."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.analytics.exports import environment
from tests.analytics.world import Shop, wait

PAUSE = b"\x13"  # Ctrl-S
WATCH = [sys.executable, "-m", "analytics_service.kpi", "--watch"]


@contextmanager
def window(shop: Shop, command: list[str]) -> Iterator[tuple[int, int]]:
    """A terminal with a command in it that shows something by now: its pid, and the other end of the terminal."""
    pid, end = pty.fork()
    if pid == 0:
        os.chdir(shop.folder)
        os.execvpe(command[0], command, environment(shop, TERM="xterm"))
    shown = b""
    while b"lag" not in shown:
        assert select.select([end], [], [], 60)[0], shown
        shown += os.read(end, 65_536)
    yield pid, end


def ends(pid: int) -> int:
    """How it ended, as `waitpid` says."""
    found: list[int] = []

    def gone() -> bool:
        done, status = os.waitpid(pid, os.WNOHANG)
        found.append(status)
        return done == pid

    wait(gone, "the end of the command")
    return found[-1]


@pytest.mark.parametrize("hears", ["hang-ups", "no hang-ups"])
@pytest.mark.parametrize("paused", [False, True])
def test_kpis_in_a_window_that_is_closed_end(empty_shop: Shop, hears: str, paused: bool) -> None:
    log = empty_shop.folder / "stderr"
    ignore = "trap '' HUP; " if hears == "no hang-ups" else ""
    quoted = " ".join(WATCH)
    with window(empty_shop, ["sh", "-c", f"{ignore}exec {quoted} 2>{log}"]) as (pid, end):
        if paused:
            os.write(end, PAUSE)
        os.close(end)
        status = ends(pid)
    assert log.read_text() == ""
    if hears == "no hang-ups":
        assert os.waitstatus_to_exitcode(status) == 0


def test_kpis_on_a_paused_terminal_wait_without_work(empty_shop: Shop) -> None:
    def used(pid: int) -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    with window(empty_shop, WATCH) as (pid, end):
        os.write(end, PAUSE)
        before = used(pid)
        select.select([], [], [], 5)
        assert used(pid) - before < 100, "ticks of 10 ms in 5 s"
        os.close(end)
        ends(pid)


@pytest.mark.parametrize("command", ["kpi", "kpi --watch", "kpi --json", "export order", "redrive"])
def test_a_reader_that_has_enough_ends_it_quietly(empty_shop: Shop, command: str) -> None:
    done = _shell(empty_shop, f"{sys.executable} -m analytics_service.{command} | head -c 1; exit ${{PIPESTATUS[0]}}")
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["kpi", "kpi --watch", "kpi --json", "export order", "redrive"])
def test_an_output_that_is_full_is_one_sentence(empty_shop: Shop, command: str, unbuffered: str) -> None:
    done = _shell(
        empty_shop, f"PYTHONUNBUFFERED={unbuffered} {sys.executable} -m analytics_service.{command} >/dev/full"
    )
    (sentence,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert sentence.startswith("error: ")
    assert "No space left on device" in sentence


@pytest.mark.parametrize(("output", "code"), [(">/dev/full", 2), ("| true; exit ${PIPESTATUS[0]}", 0), (">&-", 0)])
@pytest.mark.parametrize("command", ["kpi", "export", "audit", "redrive"])
def test_help_that_is_not_taken_leads_to_no_traceback(empty_shop: Shop, command: str, output: str, code: int) -> None:
    # Where nothing is buffered, argparse passes over what it cannot print.
    done = _shell(empty_shop, f"PYTHONUNBUFFERED= {sys.executable} -m analytics_service.{command} --help {output}")
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == (code == 2)


@pytest.mark.parametrize("command", ["kpi", "kpi --json", "export order", "redrive"])
def test_an_output_that_is_closed_takes_nothing(empty_shop: Shop, command: str) -> None:
    done = _shell(empty_shop, f"{sys.executable} -m analytics_service.{command} >&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("output", ["/proc/x", "nowhere/x", ".", "loop", "file/x"])
def test_an_export_that_cannot_be_written_is_named(empty_shop: Shop, output: str) -> None:
    (empty_shop.folder / "loop").symlink_to("loop")
    (empty_shop.folder / "file").touch()
    done = _shell(empty_shop, f"{sys.executable} -m analytics_service.export order --output {output}")
    (sentence,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert sentence.startswith("error: /")
    assert output.strip(".") in sentence


def test_a_file_name_that_is_no_text_is_told_as_well_as_it_can_be(empty_shop: Shop) -> None:
    done = _shell(empty_shop, rf"{sys.executable} -m analytics_service.export order --output $'caf\351.csv'")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(r"caf\udce9.csv")


def _shell(shop: Shop, command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", command],
        cwd=shop.folder,
        env=environment(shop),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
