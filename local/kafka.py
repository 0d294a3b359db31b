"""The real Kafka: a broker and controller in one process, on [::1], alone or one of three.

Four listeners: OPEN for everybody, who may read; LOGIN for whoever has a name and a password; INTERNAL and CONTROLLER
for the brokers among themselves, with a password that nobody else has. What a name may do is said by init-kafka.sh.
"""

import contextlib
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local import passwords
from local.binaries import Binaries
from local.cluster import Cluster, Node
from local.environment import chosen
from local.errors import Refusal
from local.paths import ROOT
from local.server import HOST, Server

LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
ADMIN_PASSWORD = "adminpw"
"""A workshop's; KAFKA_ADMIN_PASSWORD is another one."""


class Kafka(Server):
    """One broker of a cluster. See Server for its life."""

    setting = "KAFKA_PORT"

    def __init__(
        self,
        binaries: Binaries,
        cluster: Cluster,
        node: Node,
        *,
        heap_mb: int = 512,
        properties: Mapping[str, object] | None = None,
        log: Path | None = None,
        java: Sequence[str] = (),
    ) -> None:
        super().__init__(node.name, cluster.home / node.name, node.ports.everybody, log)
        self.properties = dict(properties or {})
        self._binaries = binaries
        self._cluster = cluster
        self._node = node
        self._heap_mb = heap_mb
        self._java = java

    @property
    def bootstrap(self) -> str:
        """Its address for clients without a name."""
        return self._node.bootstrap

    @property
    def login(self) -> str:
        """Its address for clients that log in."""
        return self._node.login

    @property
    def ports(self) -> tuple[int, ...]:
        return self._node.ports

    @property
    def command(self) -> list[str]:
        return [
            self._binaries.java,
            f"-Xmx{self._heap_mb}m",
            f"-Xms{self._heap_mb // 4}m",
            # On two cores the parallel collectors cost more memory than they save time.
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            *self._kept_classes(),
            *self._java,
            *self._java_settings(),
            "kafka.Kafka",
            self.told(self._settings),
        ]

    @property
    def folder(self) -> Path:
        return ROOT

    @property
    def environment(self) -> dict[str, str]:
        return {"MALLOC_ARENA_MAX": "2"}  # else the C library keeps a pool per thread, some 100 MB

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._settings.touch()
        self._settings.chmod(0o600)
        own = {**self._places(), **self._passwords(), **self.properties}
        lines = (f"{key}={passwords.as_property(value)}\n" for key, value in own.items())
        self._settings.write_text(self._cluster.settings + "".join(lines))
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
        ports = self._node.ports
        clients = {"OPEN": ports.everybody, "LOGIN": ports.login, "INTERNAL": ports.internal}
        advertised = ",".join(f"{name}://[{HOST}]:{port}" for name, port in clients.items())
        return {
            "node.id": self._node.id,
            "controller.quorum.voters": self._cluster.voters,
            "listeners": f"{advertised},CONTROLLER://[{HOST}]:{ports.controller}",
            "advertised.listeners": advertised,
            "log.dirs": self.told(self.home / "data"),
        }

    def _passwords(self) -> dict[str, str]:
        shared = self._cluster.password
        brokers = passwords.plain_login(username="broker", password=shared, user_broker=shared)
        admin = passwords.of("KAFKA_ADMIN_PASSWORD") or ADMIN_PASSWORD
        return {
            "listener.name.login.plain.sasl.jaas.config": passwords.plain_login(user_admin=admin),
            "listener.name.internal.plain.sasl.jaas.config": brokers,
            "listener.name.controller.plain.sasl.jaas.config": brokers,
        }

    def _java_settings(self) -> list[str]:
        return [
            "-XX:-UsePerfData",
            f"-Dlog4j2.configurationFile={self.told(LOG_SETTINGS)}",
            f"-Dshop.kafka.log={self.told(self.log)}",
            "-cp",
            f"{self.told(self._binaries.kafka_libs)}/*",
        ]

    def _kept_classes(self) -> list[str]:
        classes = self._binaries.broker_classes
        return [f"-XX:SharedArchiveFile={self.told(classes)}"] if classes.is_file() else []

    def _format(self) -> None:
        # Joined by =, because an id may begin with a dash.
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        tool = ["kafka.tools.StorageTool", "format", "--config", self.told(self._settings)]
        done = subprocess.run(
            [self._binaries.java, *quick, *self._java_settings(), *tool, f"--cluster-id={self._cluster.id}"],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=chosen() | self.environment,
            check=False,
        )
        if done.returncode:
            raise Refusal(f"Kafka's data directory {self.home} cannot be made: {done.stderr or done.stdout}")
