"""A checkout of its own in which `make` starts the real services, and what a person sees there."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import confluent_kafka as ck
import pymysql

from local.paths import ROOT
from local.server import free_port
from tests.local.checkout import SERVICES, Checkout, Running
from tests.local.waiting import wait_until

BUSY = {"CHECKOUT_RATE": "60", "SPEED": "20", "CONVERSION": "0.5", "DISPUTE_RATE": "0.2", "KPI_EVERY": "2"}
"""So that every figure is there within seconds."""

PYTHON = """#!/bin/sh
PYTHONPATH={path} exec {python} "$@"
"""
STAMP = """
from local import venvs
for venv in [*map(venvs.of_service, venvs.SERVICES), venvs.of_tools()]:
    venv.home.mkdir(exist_ok=True)
    venv._stamp.write_text(venv._made_from())
"""
KPIS = re.compile(r"^analytics   \|(?! \d\d:\d\d:\d\d )")
UNCHANGED = shutil.ignore_patterns("__pycache__", "*.egg-info", "venv", ".env")


class RealShop(Checkout):
    """The environments are this test's own; everything else is as in a clone."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.environment |= BUSY
        self.http = {service: free_port() for service in SERVICES}
        path = os.pathsep.join(str(home / folder) for folder in ("shared", *SERVICES))
        for folder in (*SERVICES, "shared", "truth"):
            shutil.copytree(ROOT / folder, home / folder, ignore=UNCHANGED, dirs_exist_ok=True)
        for service, port in self.http.items():
            (home / service / ".env").write_text(f"HTTP_PORT={port}\n")
        shutil.copy(ROOT / "requirements-dev.txt", home)
        for folder in (".venv", *(f"{service}/venv" for service in SERVICES)):
            python = home / folder / "bin" / "python"
            python.unlink(missing_ok=True)
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text(PYTHON.format(path=path, python=sys.executable))
            python.chmod(0o755)
        subprocess.run([sys.executable, "-c", STAMP], cwd=home, check=True)

    def outputs(self) -> dict[str, str]:
        """What each command prints, by the name under which the pages show it. Takes a minute."""
        running = self.start("run")
        running.wait_for("all started", within=300.0)
        wait_until(lambda: is_complete(kpis(running.log)), "KPIs without a gap")
        running.wait_for("order       | ", times=30)
        wait_until(
            lambda: re.search(r"^order .* at work .* published_per_second", running.log, re.MULTILINE), "rates"
        )
        found = {"KPIs in make run": kpis(running.log)}
        found["kill -9 of order"] = self._kill_order(running)
        found["/health of order"] = self._health("order", '"at_work": true')
        found["/health of analytics while a reader holds locks"] = self._health_while_locked()
        self._publish_nonsense()
        found["make redrive"] = self.printed("make", "redrive")
        found["make export on a terminal"] = self._on_a_terminal("make export ARGS='order --output order.csv'")
        found["make truth"] = self.printed("make", "truth")
        # On a busy machine an order may wait for long.
        found["make audit"] = self.printed("make", "audit", "ARGS=--stuck-after 600")
        found["make run"] = running.log
        return found

    def printed(self, *command: str) -> str:
        """What a command prints that must succeed."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str) -> list[str]:
        """The lines of an answer, the header first."""
        return self.printed(str(self.home / "local" / "mysql"), "-e", sql).splitlines()

    def _kill_order(self, running: Running) -> str:
        before = len(running.log)
        os.kill(self._order(), signal.SIGKILL)
        wait_until(lambda: re.search(r"^order .* caught up ", running.log[before:], re.MULTILINE), "order again")
        return running.log[before:]

    def _order(self) -> int:
        folder = str(self.home / "order")
        return next(pid for pid in self.processes() if os.readlink(f"/proc/{pid}/cwd") == folder)  # noqa: PTH115

    def _health(self, service: str, until: str) -> str:
        body = ""

        def says_so() -> bool:
            nonlocal body
            body = self._asked(service)
            return until in body

        wait_until(says_so, f"{until} of {service}, not {body}")
        return body

    def _asked(self, service: str) -> str:
        try:
            with urllib.request.urlopen(f"http://[::1]:{self.http[service]}/health", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as failure:
            return failure.read().decode()
        except OSError:
            return ""

    def _health_while_locked(self) -> str:
        reader = pymysql.connect(
            host="::1", port=self.mariadb_port, user="user", password="userpw", database="analytics"
        )
        with reader, reader.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            cursor.execute("BEGIN")
            cursor.execute("SELECT COUNT(*) FROM checkout")
            return self._health("analytics", "waits_for")

    def _publish_nonsense(self) -> None:
        producer = ck.Producer(
            {
                "bootstrap.servers": f"[::1]:{self.kafka_port + 2}",
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "checkout",
                "sasl.password": "checkoutpw",
            }
        )
        producer.produce("checkout", b"nonsense")
        assert producer.flush(30) == 0
        wait_until(lambda: self.query("SELECT 1 FROM dead_letter"), "the dead letter")

    def _on_a_terminal(self, command: str) -> str:
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.home)
            os.execvpe("sh", ["sh", "-c", command], {**self.environment, "TERM": "xterm", "COLUMNS": "100"})
        shown, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    shown += os.read(terminal, 65_536)
                except OSError:  # it has ended
                    break
        _, status = os.waitpid(pid, 0)
        assert status == 0, shown
        os.close(terminal)
        return shown.decode()


def kpis(log: str) -> str:
    """The last whole table of KPIs."""
    lines = [line for line in log.splitlines() if KPIS.match(line)]
    begins = [number for number, line in enumerate(lines) if "checkouts created in the last" in line]
    ends = [number for number, line in enumerate(lines) if "newest event" in line]
    if not begins or not ends:
        return ""
    begin = max(number for number in begins if number < ends[-1])
    return "\n".join(lines[begin : ends[-1] + 1])


def is_complete(table: str) -> bool:
    """Whether each figure is there."""
    return "EUR" in table and " - " not in f"{table} ".replace("\n", " \n")
