"""docker-compose.yml, brought up as it is under another project name and on free ports."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pymysql
import pytest

from local.paths import ROOT
from local.server import free_port
from tests.local.waiting import wait_until
from tests.passwords import HARD

PROJECT = "shop-compose-test"
NETWORK = "workshop-net"
PREFIX = "fd00:dead:cafe"
KAFKA, MARIADB = f"{PREFIX}::10", f"{PREFIX}::100"
FRONTS = {
    "analytics": ("::20", 9104),
    "checkout": ("::30", 9101),
    "fulfillment": ("::40", 9103),
    "order": ("::50", 9102),
}
"""Where each service is reached, and at which port."""
SERVICES = tuple(FRONTS)
PASSWORDS = {
    f"{user}_PASSWORD": user + "".join(word for word in HARD if len(word) < 50)
    for user in ("KAFKA_ADMIN", "KAFKA_BROKER", "CHECKOUT", "ORDER", "FULFILLMENT", "ANALYTICS")
}
MB = 1024 * 1024
HEALTHY_WITHIN = 180.0  # seconds
BUILT_WITHIN = 900


@dataclass(frozen=True)
class Container:
    """What `docker inspect` tells of one container."""

    told: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.told["Name"]).lstrip("/")

    @property
    def slot(self) -> str:
        """Its own name on the network, which a service without a slot takes for one."""
        return str(self.told["Config"]["Hostname"])

    @property
    def health(self) -> str:
        """healthy, starting or unhealthy; running where nobody checks, else exited and such."""
        state = self.told["State"]
        return str(state.get("Health", {}).get("Status", state["Status"]))

    @property
    def address(self) -> str:
        """Its IPv6 address, without the fd00:dead:cafe in front."""
        return str(self.told["NetworkSettings"]["Networks"][NETWORK]["GlobalIPv6Address"]).removeprefix(PREFIX)

    @property
    def runs(self) -> bool:
        return bool(self.told["State"]["Running"])

    @property
    def limit_mb(self) -> float:
        """How much memory it may have; 0 = all."""
        return float(self.told["HostConfig"]["Memory"]) / MB

    @property
    def user(self) -> str:
        """Whose processes its are; empty = root's."""
        return str(self.told["Config"]["User"])

    @property
    def is_read_only(self) -> bool:
        return bool(self.told["HostConfig"]["ReadonlyRootfs"])


class Stack:
    """The containers of one project, made from these files of a checkout."""

    def __init__(self, *files: str, checkout: Path = ROOT) -> None:
        self.checkout = checkout
        self.kafka_port, self.login_port, self.mariadb_port = free_port(), free_port(), free_port()
        others = ("KAFKA_2_PORT", "KAFKA_2_LOGIN_PORT", "KAFKA_3_PORT", "KAFKA_3_LOGIN_PORT")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "MARIADB_"))},
            "COMPOSE_PROJECT_NAME": PROJECT,
            "COMPOSE_FILE": ":".join(files),
            **{name: str(free_port()) for name in others},
            "KAFKA_PORT": str(self.kafka_port),
            "KAFKA_LOGIN_PORT": str(self.login_port),
            "MARIADB_PORT": str(self.mariadb_port),
            "SPEED": "5",
            "CONVERSION": "0.5",
            **PASSWORDS,
        }

    def compose(self, *arguments: str, **settings: str) -> str:
        """Calls docker-compose as a person does."""
        done = subprocess.run(
            [*compose_command(), *arguments],
            cwd=self.checkout,
            env=self._environment | settings,
            capture_output=True,
            text=True,
            timeout=BUILT_WITHIN,
            check=False,
        )
        assert done.returncode == 0, f"docker-compose {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def containers(self, *services: str) -> list[Container]:
        """Those of these services, or all, that there are, running or not."""
        ids = docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        told = json.loads(docker("inspect", *ids)) if ids else []
        wanted = [
            one for one in told if not services or one["Config"]["Labels"]["com.docker.compose.service"] in services
        ]
        return [Container(one) for one in wanted]

    def wait_healthy(self, *services: str, count: int = 1) -> None:
        """Returns when each of these services has so many containers and all of them are healthy."""
        for service in services:
            wanted = ["healthy"] * count
            wait_until(
                partial(self._have_health, service, wanted),
                f"{count} healthy containers of {service}",
                HEALTHY_WITHIN,
            )

    def count(self, query: str) -> int:
        """The one number that a query finds, asked as `user` at MariaDB's own address; 0 where it is away."""
        try:
            connection = pymysql.connect(host=MARIADB, user="user", password="userpw", database="analytics")
            with connection, connection.cursor() as cursor:
                cursor.execute(query)
                row = cursor.fetchone()
        except pymysql.MySQLError:
            return 0
        assert row is not None
        return int(row[0] or 0)

    def reader(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A session of `user` at MariaDB's own address."""
        return pymysql.connect(host=MARIADB, user="user", password="userpw", database="analytics")

    def health(self, service: str) -> str:
        """What /health of a service answers, whether it is well or not; empty while nobody answers."""
        address, port = FRONTS[service]
        try:
            with urllib.request.urlopen(f"http://[{PREFIX}{address}]:{port}/health", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as not_well:
            return not_well.read().decode()
        except OSError:
            return ""

    def completed(self) -> int:
        """How many orders are COMPLETED, as far as analytics has stored it."""
        return self.count("SELECT COUNT(*) FROM `order` WHERE status = 'COMPLETED'")

    def wait_for_more_completed(self) -> None:
        """Returns when an order was completed and stored that was not when it was called: all four are at work."""
        before = self.completed()
        wait_until(lambda: self.completed() > before, "another COMPLETED order", HEALTHY_WITHIN)

    def audit(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """The auditor, run on this machine as a person does, against the stack's own addresses."""
        return subprocess.run(
            [sys.executable, "-m", "analytics_service.audit", *options],
            cwd=ROOT / "analytics",
            env=self.for_this_machine(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def must_be_clean(self, *options: str) -> None:
        """Lets the auditor judge."""
        done = self.audit(*options)
        assert done.returncode == 0, done.stdout + done.stderr

    def for_this_machine(self) -> dict[str, str]:
        """The environment of a program on this machine that works with the stack: the lines of README.md."""
        paths = (ROOT / part for part in ("shared", *SERVICES))
        return self._environment | {
            "KAFKA_BOOTSTRAP": f"[{KAFKA}]:9094",
            "MARIADB_HOST": MARIADB,
            "MARIADB_PORT": "3306",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }

    def _have_health(self, service: str, wanted: list[str]) -> bool:
        return [one.health for one in self.containers(service)] == wanted

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans")


def bring_up(*files: str, checkout: Path = ROOT) -> Iterator[Stack]:
    """The stack of these files of a checkout, its images built; taken down in the end. Ends the run where there is no
    engine."""
    if reason := why_not():
        pytest.exit(reason, returncode=2)
    stack = Stack(*files, checkout=checkout)
    try:
        stack.compose("build")
        yield stack
    finally:
        stack.down()


BringUp = Callable[..., Iterator[Stack]]


def docker(*arguments: str) -> str:
    """What the client prints. Raises CalledProcessError where it fails."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


@cache
def compose_command() -> Sequence[str]:
    """docker-compose (1.29.2), or docker compose (v2) where that is what there is; COMPOSE names another one."""
    if named := os.environ.get("COMPOSE"):
        return named.split()
    return ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


def why_not() -> str | None:
    """One sentence that says why the stack cannot be brought up here, or None where it can."""
    if shutil.which("docker") is None:
        return "There is no docker command here: install Docker and docker-compose."
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        return "No Docker engine answers: start it, or set DOCKER_HOST."
    if NETWORK in docker("network", "ls", "--format", "{{.Name}}").split():
        return f"There is a network {NETWORK} already: end the stack that uses it with docker-compose down."
    return None
