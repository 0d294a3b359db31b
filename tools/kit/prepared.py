"""Data directories in which everything is made, for servers that start from a copy of them.

init-kafka.sh starts some thirty Java machines where there is nothing yet, and a copy costs nothing. What is copied is
kept under .local, by a digest of what it was made from.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from local import programs
from local.binaries import POM, Binaries
from local.cluster import Cluster, Ports
from local.files import remove
from local.kafka import Kafka
from local.locks import wait_for
from local.mariadb import MariaDB
from local.paths import HOME, ROOT
from local.server import free_port

KEPT = HOME / "prepared"
OF_KAFKA = ("init-kafka.sh", "local/passwords.sh", "local/kafka.py", "local/broker.properties")
OF_MARIADB = ("sql", "local/mariadb.py", "local/mariadb.cnf", "local/time_zones.py")
SETTINGS = {"OPEN_TOPICS", "PARTITIONS", "REPLICATION"}
"""What init-kafka.sh goes by, besides passwords."""


@cache
def binaries() -> Binaries:
    """The programs, fetched if they are not here yet."""
    return programs.ready()


def copy_topics_and_users(home: Path) -> None:
    """Make `home`/data that of a lone broker with the shop's topics, users and rights, before it is prepared."""
    _copy(_kept("kafka", OF_KAFKA, _set_up_kafka) / "kafka" / "data", home / "data")


def copy_tables(home: Path) -> None:
    """Make `home` that of a MariaDB with tables, views, users and time zones, before it is prepared."""
    _copy(_kept("mariadb", OF_MARIADB, _set_up_mariadb) / "mariadb", home)


def _set_up_kafka(home: Path) -> None:
    cluster = Cluster.at(home, Ports.free())
    broker = Kafka(binaries(), cluster, cluster.nodes[0])
    broker.start()
    try:
        broker.wait_ready()
        told = os.environ | {"BOOTSTRAP": broker.login}
        subprocess.run(["bash", "-p", "init-kafka.sh"], cwd=ROOT, env=told, check=True, capture_output=True)
    finally:
        broker.stop()


def _set_up_mariadb(home: Path) -> None:
    mariadb = MariaDB(binaries(), home / "mariadb", free_port())
    mariadb.start()
    try:
        mariadb.wait_ready()
        mariadb.apply(ROOT / "sql")
        mariadb.load_time_zones()
    finally:
        mariadb.stop()
    mariadb.log.unlink()


def _kept(name: str, sources: Iterable[str], make: Callable[[Path], None]) -> Path:
    """The folder of that name as it is made from the sources; made now, if it was made from others."""
    kept = KEPT / f"{name}-{_digest(sources)}"
    if not kept.is_dir():
        with wait_for(f"prepared-{name}"):
            if not kept.is_dir():
                KEPT.mkdir(exist_ok=True)
                for other in KEPT.glob(f"{name}-*"):
                    remove(other)
                with tempfile.TemporaryDirectory(dir=HOME) as made:
                    make(Path(made) / name)
                    (Path(made) / name).rename(kept)
    return kept


def _digest(sources: Iterable[str]) -> str:
    paths = [ROOT / source for source in sources]
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    settings = sorted(item for item in os.environ.items() if item[0].endswith("_PASSWORD") or item[0] in SETTINGS)
    return hashlib.sha256(repr(settings).encode() + b"".join(map(Path.read_bytes, (POM, *files)))).hexdigest()[:16]


def _copy(source: Path, target: Path) -> None:
    # Most of MariaDB's files are zeros, which take neither time nor room.
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--sparse=always", "--no-target-directory", source, target], check=True)
