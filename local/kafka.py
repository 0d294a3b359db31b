"""The real Kafka: one node, broker and controller in one process, on [::1].

Four listeners: OPEN for everybody, who may read; LOGIN for whoever has a name and a password; INTERNAL and CONTROLLER
for the node itself, with a password that nobody else has. What a name may do is said by init-kafka.sh.
"""

import base64
import contextlib
import os
import secrets
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from local.binaries import Binaries
from local.errors import Refusal
from local.server import HOST, Server

NODE = 1
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
BROKER_SETTINGS = Path(__file__).with_name("broker.properties")
ADMIN_PASSWORD = "adminpw"
"""A workshop's; KAFKA_ADMIN_PASSWORD is another one."""
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


class Ports(NamedTuple):
    """Where it listens, for whom."""

    everybody: int
    controller: int
    login: int
    internal: int

    @classmethod
    def of(cls, first: int) -> "Ports":
        """The first port, and the three after it."""
        return cls(*range(first, first + len(cls._fields)))


class Kafka(Server):
    """A broker with its data under `home`. `bootstrap` is its address for everybody, `login` the one for those who
    log in. See Server for its life."""

    name = "kafka"

    def __init__(
        self,
        binaries: Binaries,
        home: Path,
        ports: Ports,
        *,
        heap_mb: int = 512,
        properties: Mapping[str, object] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(home, ports.everybody, log)
        self._ports = ports
        self.properties = dict(properties or {})
        self._binaries = binaries
        self._heap_mb = heap_mb

    @property
    def bootstrap(self) -> str:
        """The address for clients without a name."""
        return f"[{HOST}]:{self.port}"

    @property
    def login(self) -> str:
        """The address for clients that log in."""
        return f"[{HOST}]:{self._ports.login}"

    @property
    def ports(self) -> tuple[int, ...]:
        return self._ports

    @property
    def command(self) -> list[str]:
        return [
            self._binaries.java,
            f"-Xmx{self._heap_mb}m",
            f"-Xms{self._heap_mb // 4}m",
            # On two cores the parallel collectors cost more memory than they save time.
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            *self._java_settings(),
            "kafka.Kafka",
            str(self._settings),
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {"MALLOC_ARENA_MAX": "2"}  # else the C library keeps a pool per thread, some 100 MB

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._settings.touch()
        self._settings.chmod(0o600)
        own = {**self._places(), **self._passwords(), **self.properties}
        lines = (f"{key}={value}\n" for key, value in own.items())
        self._settings.write_text(BROKER_SETTINGS.read_text() + "".join(lines))
        if not (self.home / "data" / "meta.properties").is_file():
            self._format()

    def answers(self) -> bool:
        """Whether it answers an ApiVersions request (version 0), which it does only once it serves clients."""
        request = struct.pack(">hhih", 18, 0, 1, -1)  # api key, version, correlation id, no client id
        with (
            contextlib.suppress(OSError),
            socket.create_connection((HOST, self.port), timeout=1) as broker,
        ):
            broker.sendall(struct.pack(">i", len(request)) + request)
            return len(broker.recv(4)) > 0
        return False

    @property
    def _settings(self) -> Path:
        return self.home / "server.properties"

    def _places(self) -> dict[str, object]:
        clients = {"OPEN": self._ports.everybody, "LOGIN": self._ports.login, "INTERNAL": self._ports.internal}
        advertised = ",".join(f"{name}://[{HOST}]:{port}" for name, port in clients.items())
        return {
            "node.id": NODE,
            # Static voters: `format --standalone` does not understand an IPv6 address.
            "controller.quorum.voters": f"{NODE}@[{HOST}]:{self._ports.controller}",
            "listeners": f"{advertised},CONTROLLER://[{HOST}]:{self._ports.controller}",
            "advertised.listeners": advertised,
            "log.dirs": self.home / "data",
        }

    def _passwords(self) -> dict[str, str]:
        own = secrets.token_urlsafe(16)
        itself = f'{PLAIN} username="broker" password="{own}" user_broker="{own}";'
        admin = os.environ.get("KAFKA_ADMIN_PASSWORD") or ADMIN_PASSWORD
        if set(admin) & set('"\\'):
            raise Refusal('KAFKA_ADMIN_PASSWORD must be without " and \\: choose another one.')
        return {
            "listener.name.login.plain.sasl.jaas.config": f'{PLAIN} user_admin="{admin}";',
            "listener.name.internal.plain.sasl.jaas.config": itself,
            "listener.name.controller.plain.sasl.jaas.config": itself,
        }

    def _java_settings(self) -> list[str]:
        return [
            "-XX:-UsePerfData",
            f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
            f"-Dshop.kafka.log={self.log}",
            "-cp",
            f"{self._binaries.kafka_libs}/*",
        ]

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Joined by =, because an id may begin with a dash.
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        tool = ["kafka.tools.StorageTool", "format", "--config", str(self._settings)]
        done = subprocess.run(
            [self._binaries.java, *quick, *self._java_settings(), *tool, f"--cluster-id={cluster_id}"],
            capture_output=True,
            text=True,
            env=os.environ | self.environment,
            check=False,
        )
        if done.returncode:
            raise Refusal(f"Kafka's data directory {self.home} cannot be made: {done.stderr or done.stdout}")
