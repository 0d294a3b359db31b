"""The real MariaDB on [::1], as any user, in a folder of one's own."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from local import time_zones
from local.binaries import Binaries
from local.commands import Say
from local.environment import chosen
from local.errors import Refusal
from local.server import HOST, Server

SETTINGS = Path(__file__).with_name("mariadb.cnf")
APPLIED = "applied.json"
TIME_ZONES = "time zones"

LOCK_TIMEOUT = 5
"""Seconds that applying sql/ waits for somebody's transaction; whoever comes later waits behind it."""
LOCK_WAIT_TIMEOUT = 1205
LOOK_SECONDS = 1.0


class Locked(Refusal):
    """A statement has waited in vain for a lock; its text says for whose."""


class MariaDB(Server):
    """A database server with its data under `home`. See Server for its life.

    Administration is `root` without a password through the socket alone; only this user of the machine gets to it,
    because the data directory around it is closed to others. Nobody else exists until `apply` makes them.
    """

    setting = "MARIADB_PORT"

    def __init__(
        self,
        binaries: Binaries,
        home: Path,
        port: int,
        *,
        buffer_pool_mb: int = 256,
        options: Mapping[str, object] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__("mariadb", home, port, log)
        self.options = dict(options or {})
        self._binaries = binaries
        self._buffer_pool_mb = buffer_pool_mb

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def socket(self) -> Path:
        """The socket for root. The system takes no path of more than 107 bytes; `home` has to be short for that."""
        return self.data / "mariadb.sock"

    @property
    def _temporary(self) -> Path:
        """A folder of its own: a server that starts deletes what looks like a temporary table, whosever it is."""
        return self.home / "tmp"

    @property
    def command(self) -> list[str]:
        own = {
            "bind-address": HOST,
            "port": self.port,
            "socket": "mariadb.sock",
            "pid-file": "mariadb.pid",
            "log-error": self.told(self.log),
            "tmpdir": self.told(self._temporary),
            "innodb-buffer-pool-size": f"{self._buffer_pool_mb}M",
            **self._certificate(),
        }
        settings = {**own, **self.options}
        return [*self._mariadbd(), *(f"--{name}={value}" for name, value in settings.items())]

    @property
    def folder(self) -> Path:
        return self.data

    def prepare(self) -> None:
        self._temporary.mkdir(parents=True, exist_ok=True)
        made = self.home / "made"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if made.is_file():
            return
        # Without the mark it is what an interrupted first start left; there was never a server on it.
        shutil.rmtree(self.data, ignore_errors=True)
        (self.home / APPLIED).unlink(missing_ok=True)
        self.data.mkdir(parents=True, mode=0o700)
        self._make_certificate()
        if self._binaries.system_tables is None:
            self._run_installer()
        else:
            self._bootstrap(self._binaries.system_tables)
        made.touch()

    def answers(self) -> bool:
        """Whether it greets on its socket, which it does only once it serves clients."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            folder = os.open(self.data, os.O_RDONLY)
            try:
                probe.connect(f"/proc/self/fd/{folder}/{self.socket.name}")  # short, however long the path is
            finally:
                os.close(folder)
            return len(probe.recv(5)) > 0
        return False

    def apply(self, folder: Path, say: Say = lambda _: None, timeout: int = LOCK_TIMEOUT) -> None:
        """Run every *.sql of the folder, and the SQL that every *.sh prints, as root, in the order of their names.

        Where somebody's transaction holds what a file would recreate, it waits for `timeout` seconds, once. Then it
        says who that is and goes on, where the file is still the one that was applied last. Raises Refusal where it
        is another one, and at the first other error.
        """
        holders = ""
        for file in sorted((*folder.glob("*.sql"), *folder.glob("*.sh"))):
            sql = _sql_of(file)
            try:
                self._execute_within(sql, 0 if holders else timeout)
            except Locked as locked:
                holders = holders or str(locked)
                if self._applied.get(file.name) != _digest(sql):
                    raise Refusal(
                        f"{file} cannot be applied: {holders} holds what it changes in an open transaction; end that "
                        "(COMMIT, or close the client), then start again"
                    ) from locked
                say(f"{file.name} is not applied again: {holders} holds it in an open transaction; it is as it was")
            except Refusal as refusal:
                raise Refusal(f"{file} failed: {refusal}") from refusal
            else:
                if file.suffix == ".sql":  # what a script prints may hold passwords
                    self._note_applied(file.name, _digest(sql))

    def load_time_zones(self, say: Say = lambda _: None) -> None:
        """Give the server the time zones of this machine, for CONVERT_TZ, unless it has these already.

        Takes about 0.3 s where it has not.
        """
        files = time_zones.files()
        if not files:
            say("this machine has no time zones, and so CONVERT_TZ knows none: install tzdata, then start again")
        elif self._applied.get(TIME_ZONES) != time_zones.fingerprint(files):
            self.execute(time_zones.as_sql(files))
            self._note_applied(TIME_ZONES, time_zones.fingerprint(files))

    def _execute_within(self, sql: str, timeout: int) -> None:
        """Run statements of which each waits that long for a lock. Raises Locked where one has waited in vain."""
        holders = ""
        with ThreadPoolExecutor() as pool:
            done = pool.submit(self.execute, f"SET lock_wait_timeout = {timeout}; {sql}")
            while not wait([done], LOOK_SECONDS).done:
                holders = self._holders() or holders
        try:
            done.result()
        except Refusal as refusal:
            if f"ERROR {LOCK_WAIT_TIMEOUT} " not in str(refusal):
                raise
            raise Locked(holders or "another session") from refusal

    def _holders(self) -> str:
        """For whom root's statements wait, in a few words; empty where it cannot be told (yet)."""
        with contextlib.suppress(Refusal):
            told = self.execute("SELECT id, user, host FROM locks.blocker")
            rows = (line.split("\t") for line in told.splitlines()[1:])
            return ", ".join(f"session {number} ({user} from {host})" for number, user, host in rows)
        return ""

    @property
    def _applied(self) -> dict[str, str]:
        """What was applied to this data directory last, by name, as digests."""
        file = self.home / APPLIED
        return dict(json.loads(file.read_text())) if file.is_file() else {}

    def _note_applied(self, name: str, digest: str) -> None:
        (self.home / APPLIED).write_text(json.dumps(self._applied | {name: digest}, indent=1))

    def execute(self, sql: str) -> str:
        """Run statements as root and return what they print, tab-separated. Raises Refusal at the first error."""
        client = [str(self._binaries.mariadb), "--no-defaults", "--user=root", "--socket=mariadb.sock", "--batch"]
        done = subprocess.run(
            [*client, "--default-character-set=utf8mb4"],
            input=sql,
            cwd=self.folder,
            env=chosen(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            # Around the reason the client repeats the whole statement.
            raise Refusal(" ".join(re.findall(r"^ERROR.*", done.stderr, re.MULTILINE)) or done.stderr.strip())
        return done.stdout

    def _mariadbd(self) -> list[str]:
        command = [str(self._binaries.mariadbd), "--no-defaults", *_shared_settings(), "--datadir=."]
        if self._binaries.system_tables:
            share = self._binaries.system_tables
            command += [
                f"--basedir={self.told(share.parent)}",
                f"--lc-messages-dir={self.told(share)}",
            ]
        if os.geteuid() == 0:
            command.append("--user=root")
        return command

    def _bootstrap(self, system_tables: Path) -> None:
        """As mariadb-install-db does, but without the help texts and such, which take most of its time."""
        parts = ("mariadb_system_tables", "mariadb_performance_tables", "mariadb_system_tables_data")
        sql = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
        sql += "".join((system_tables / f"{part}.sql").read_text() + "\n" for part in parts)
        sql += "DELETE FROM global_priv WHERE Host <> 'localhost';\nDELETE FROM proxies_priv;\n"
        self._install([*self._mariadbd(), "--bootstrap", "--innodb-buffer-pool-size=64M"], sql)

    def _run_installer(self) -> None:
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db"]
        self._install([*command, "--auth-root-authentication-method=normal"], "")

    def _install(self, command: list[str], sql: str) -> None:
        own = chosen() | {"TMPDIR": self.told(self._temporary)}
        done = subprocess.run(
            command, input=sql, cwd=self.folder, env=own, capture_output=True, text=True, check=False
        )
        if done.returncode:
            errors = re.findall(r"^.*ERROR.*$", done.stderr, re.MULTILINE) or [done.stderr]
            raise Refusal(f"MariaDB's data directory {self.data} cannot be made: {' '.join(errors)}")

    def _make_certificate(self) -> None:
        """Give the server a certificate: it makes one at every start otherwise, which takes it 3 to 6 seconds.

        Without TLS at all, newer clients refuse to connect. No `openssl` here: it starts slowly, and works.
        """
        openssl = shutil.which("openssl")
        if openssl is None:
            return
        request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
        files = ["-keyout", "key.pem", "-out", "certificate.pem"]
        command = [*request, *files, "-subj", "/CN=localhost"]
        subprocess.run(command, cwd=self.home, env=chosen(), capture_output=True, check=False)

    def _certificate(self) -> dict[str, object]:
        key, certificate = self.home / "key.pem", self.home / "certificate.pem"
        if not (key.is_file() and certificate.is_file()):
            return {}
        return {"ssl-key": self.told(key), "ssl-cert": self.told(certificate)}


def _shared_settings() -> list[str]:
    """Those of mariadb.cnf, as arguments: MariaDB reads no file that everybody may write, as on a disk of Windows."""
    lines = SETTINGS.read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#[")
    # Quotes are a file's: there a value may hold # and %.
    return ["--" + name.strip() + equals + value.strip().strip("'") for name, equals, value in pairs]


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def _sql_of(file: Path) -> str:
    if file.suffix == ".sql":
        return file.read_text()
    return subprocess.run(["bash", file], env=chosen(), capture_output=True, text=True, check=True).stdout
