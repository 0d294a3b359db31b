"""The life of an export of many rows: how much it holds, how it waits and how it ends."""

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from analytics_service.export import extract
from analytics_service.export.extract import Period
from tests.analytics.exports import MANY, MODULE, environment, started, store, store_many
from tests.analytics.world import TIMEOUT_SECONDS, Shop

PEAK_OF_A_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""As a process of its own: the peak of a child counts what its parent held when it was made, here some 10 MB."""


def test_a_full_disk_is_said(empty_shop: Shop) -> None:
    with Path("/dev/full").open("wb") as full, started(empty_shop, stdout=full.fileno()) as process:
        assert process.communicate()[1] == b"error: the standard output cannot be written: No space left on device\n"
    assert process.returncode == 2


def test_memory_does_not_grow_with_the_rows(empty_shop: Shop, record_property: Any) -> None:
    store_many(empty_shop)

    def peak(*limits: str) -> int:
        """Kilobytes."""
        command = [sys.executable, "-c", PEAK_OF_A_CHILD, *MODULE, "fulfillment", *limits]
        return int(subprocess.run(command, capture_output=True, env=environment(empty_shop), check=True).stdout)

    few, many = peak("--to", "2027-01-15T08:16:41"), peak()
    record_property("peak memory of an export of 1,000 and of 200,000 rows", f"{few:,} KB, {many:,} KB")
    assert many < few + 3_000


def test_a_reader_may_pause_for_longer_than_the_server_waits(empty_shop: Shop) -> None:
    timeout = "SET GLOBAL net_write_timeout = {}"
    store(empty_shop, timeout.format(1))
    try:
        with started(empty_shop) as process:
            assert process.stdout
            read = process.stdout.readline()
            time.sleep(3)  # the pause itself: three times what the server would wait
            read += process.stdout.read()
    finally:
        store(empty_shop, timeout.format(60))
    assert process.returncode == 0
    assert read.count(b"\r\n") == MANY + 1


def test_a_reader_that_has_enough_ends_it_quietly(empty_shop: Shop) -> None:
    with started(empty_shop) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith(b"log_id,")
        process.stdout.close()
        assert process.wait(5) == 0
        assert process.stderr.read() == b""


def test_what_is_interrupted_leaves_no_file_and_the_old_one_alone(empty_shop: Shop) -> None:
    file = empty_shop.folder / "a.csv"
    file.write_text("before")
    with started(empty_shop, "--output", "a.csv") as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=5) == (b"", b"")
    assert process.returncode == 130
    assert list(empty_shop.folder.iterdir()) == [file]
    assert file.read_text() == "before"


def test_a_connection_that_breaks_leaves_no_file(empty_shop: Shop) -> None:
    with started(empty_shop, "--output", "a.csv") as process:
        with empty_shop.root.connect() as connection:
            number = connection.execute(
                text(
                    "SELECT id FROM information_schema.processlist WHERE user = 'user' AND info LIKE '%fulfillment%'"
                )
            ).scalar_one()
            connection.execute(text(f"KILL {number}"))
        output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, output) == (2, b"")
    assert len(errors.splitlines()) == 1
    assert b"does not answer: " in errors
    assert list(empty_shop.folder.iterdir()) == []


def test_the_rest_of_the_rows_is_not_read(empty_shop: Shop) -> None:
    store_many(empty_shop)
    engine = empty_shop.engine()

    def sent(connection: Connection) -> int:
        return int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Bytes_sent'")).one().Value)

    with empty_shop.root.connect() as root:
        before = sent(root)
        with engine.connect() as connection:
            fulfillment = extract.find(connection, "fulfillment")
        with suppress(LookupError), extract.stream(engine, fulfillment, Period(None, None), 600) as rows:
            assert rows.fetchone()
            raise LookupError
        assert sent(root) - before < MANY * 60, "bytes; a row has twice as many"
    engine.dispose()


def test_a_terminal_shows_how_far_it_is(empty_shop: Shop) -> None:
    store(empty_shop, "INSERT INTO cart_item SELECT UUID(), 1, 'lamp', 1, 1 FROM seq_1_to_250")
    terminal, end = pty.openpty()
    done = subprocess.run(
        [*MODULE, "cart_item", "--output", "a.csv"],
        stdout=subprocess.PIPE,
        stderr=end,
        cwd=empty_shop.folder,
        env=environment(empty_shop, TERM="xterm", COLUMNS="80"),
        check=True,
    )
    os.close(end)
    shown = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert "250/250" in shown
    assert done.stdout.decode().startswith("250 rows of cart_item")
