"""Who logs never waits for who reads, loses nothing that there is room for, and is told when nobody can read."""

import os
import select
import time
from collections.abc import Iterator

import pytest

from shop.edges import output
from shop.edges.output import Output
from tools.kit.shop import wait_until

PIPE = 65_536


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for descriptor in (read, write):
        os.close(descriptor)


def gap(lines: int) -> str:
    return f"<{lines} left out>\n"


def filled(write: int, lines: int) -> Output:
    """An output on which that many lines of 100 bytes were written, and how long that took at most."""
    made = Output(write, gap)
    began = time.monotonic()
    for number in range(lines):
        made.write(f"{number:099}\n")
    assert time.monotonic() - began < 2
    return made


def read_all(read: int, made: Output) -> list[str]:
    data = b""
    while select.select([read], [], [], 0.1)[0] or made.blocked_for:
        if select.select([read], [], [], 0.1)[0]:
            data += os.read(read, PIPE)
    return data.decode().splitlines()


def test_a_pipe_that_is_not_read_holds_nobody_up_and_nothing_is_lost(pipe: tuple[int, int]) -> None:
    read, write = pipe
    made = filled(write, 5000)
    wait_until(lambda: made.blocked_for > 0.2, "the pipe to be full")
    assert read_all(read, made) == [f"{number:099}" for number in range(5000)]
    assert made.blocked_for == made.dropped == 0


def test_what_is_left_out_of_too_much_is_counted_where_it_was(pipe: tuple[int, int]) -> None:
    read, write = pipe
    made = filled(write, 1000)
    wait_until(lambda: made.blocked_for > 0.2, "the pipe to be full")
    for number in range(1000, 40_000):
        made.write(f"{number:099}\n")
    lines = read_all(read, made)
    (at,) = [number for number, line in enumerate(lines) if line.startswith("<")]
    assert lines[at] == f"<{made.dropped} left out>"
    assert int(lines[at + 1]) - int(lines[at - 1]) - 1 == made.dropped > 20_000
    assert int(lines[-1]) == 39_999


def test_a_flush_waits_until_all_is_written_but_not_for_ever(pipe: tuple[int, int]) -> None:
    read, write = pipe
    made = Output(write, gap)
    print("last words", file=made, flush=True)
    os.set_blocking(read, False)
    assert os.read(read, PIPE) == b"last words\n"
    made.write("x" * 3 * PIPE + "\n")
    began = time.monotonic()
    made.flush()
    waited = time.monotonic() - began
    os.set_blocking(read, True)
    read_all(read, made)
    assert 0.9 * output.FLUSH_SECONDS < waited < output.FLUSH_SECONDS + 2


@pytest.mark.parametrize("flag", ["blocking", "not blocking"])
def test_a_slow_reader_gets_all(pipe: tuple[int, int], flag: str) -> None:
    read, write = pipe
    os.set_blocking(write, flag == "blocking")
    made = Output(write, gap)
    made.write("x" * 5 * PIPE + "\n")
    assert len(read_all(read, made)[0]) == 5 * PIPE


def test_a_full_disk_is_waited_out(tmp_path: object) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    made = Output(descriptor, gap)
    made.write("held back\n")
    wait_until(lambda: made.blocked_for > 0.5, "the disk to be full")
    file = os.open(f"{tmp_path}/log", os.O_RDWR | os.O_CREAT)
    os.dup2(file, descriptor)
    made.flush()
    assert os.pread(file, 100, 0) == b"held back\n"
    os.close(file)
    os.close(descriptor)


def test_a_reader_that_is_gone_is_told_once_and_the_rest_is_dropped() -> None:
    read, write = os.pipe()
    os.close(read)
    lost: list[bool] = []
    made = Output(write, gap, lambda: lost.append(True))
    for _ in range(1000):
        made.write("nobody reads this\n")
    wait_until(lambda: bool(lost), "that to be noticed")
    made.write("nor this\n")
    made.flush()
    assert lost == [True]
    assert made.blocked_for == 0
    os.close(write)
