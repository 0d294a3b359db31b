"""What the brokers of one Kafka cluster have to agree on before they start: who they are, and where."""

import base64
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from local.server import HOST, free_port

SETTINGS = Path(__file__).with_name("broker.properties")
SETTINGS_OF_SEVERAL = Path(__file__).with_name("cluster.properties")


class Ports(NamedTuple):
    """Where a broker listens, for whom."""

    everybody: int
    controller: int
    login: int
    internal: int

    @classmethod
    def of(cls, first: int) -> "Ports":
        """The first port, and the three after it."""
        return cls(*range(first, first + len(cls._fields)))

    @classmethod
    def free(cls, brokers: int = 1) -> list["Ports"]:
        """Ports for so many brokers that nobody listens on now."""
        each, found = len(cls._fields), set[int]()
        while len(found) < brokers * each:
            found.add(free_port())
        return [cls(*(found.pop() for _ in range(each))) for _ in range(brokers)]


@dataclass(frozen=True)
class Node:
    """One broker, which is a controller as well. `name` is also its folder."""

    id: int
    name: str
    ports: Ports

    @property
    def bootstrap(self) -> str:
        """The address for clients without a name."""
        return f"[{HOST}]:{self.ports.everybody}"

    @property
    def login(self) -> str:
        """The address for clients that log in."""
        return f"[{HOST}]:{self.ports.login}"


@dataclass(frozen=True)
class Cluster:
    """One broker, or three of which any one may be away; their data lies under `home`."""

    home: Path
    nodes: tuple[Node, ...]
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    """What the brokers tell each other: another one for each start of the cluster."""

    @classmethod
    def at(cls, home: Path, ports: Sequence[Ports]) -> "Cluster":
        """A cluster of as many brokers as there are ports."""
        alone = len(ports) == 1
        return cls(home, tuple(Node(id, "kafka" if alone else f"kafka-{id}", at) for id, at in enumerate(ports, 1)))

    @property
    def bootstrap(self) -> str:
        """The addresses for clients without a name."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def login(self) -> str:
        """The addresses for clients that log in."""
        return ",".join(node.login for node in self.nodes)

    @property
    def voters(self) -> str:
        """All are, from the beginning: `format --standalone` does not understand an IPv6 address."""
        return ",".join(f"{node.id}@[{HOST}]:{node.ports.controller}" for node in self.nodes)

    @property
    def settings(self) -> str:
        """The settings shared by all its brokers."""
        files = [SETTINGS] if len(self.nodes) == 1 else [SETTINGS, SETTINGS_OF_SEVERAL]
        return "".join(file.read_text() for file in files)

    @property
    def id(self) -> str:
        """Kafka's id of the cluster. It comes from where the data lies, so that brokers agree on it without a word,
        also after a first start that was interrupted between them."""
        place = uuid.uuid5(uuid.NAMESPACE_URL, self.home.absolute().as_uri())
        return base64.urlsafe_b64encode(place.bytes).decode().rstrip("=")
