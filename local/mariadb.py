"""The real MariaDB on [::1], as any user, in a folder of one's own."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from local.binaries import Binaries
from local.environment import chosen
from local.errors import Refusal
from local.server import HOST, Server

SETTINGS = Path(__file__).with_name("mariadb.cnf")


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

    def apply(self, folder: Path) -> None:
        """Run every *.sql of the folder, and the SQL that every *.sh prints, as root, in the order of their names.

        Raises Refusal at the first error.
        """
        for file in sorted((*folder.glob("*.sql"), *folder.glob("*.sh"))):
            try:
                self.execute(_sql_of(file))
            except Refusal as refusal:
                raise Refusal(f"{file} failed: {refusal}") from refusal

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
            command += [f"--basedir={self.told(share.parent)}", f"--lc-messages-dir={self.told(share)}"]
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
    return [f"--{name.strip()}{equals}{value.strip()}" for name, equals, value in pairs]


def _sql_of(file: Path) -> str:
    if file.suffix == ".sql":
        return file.read_text()
    return subprocess.run(["bash", file], env=chosen(), capture_output=True, text=True, check=True).stdout
