"""The real Kafka and MariaDB: fetched once with Maven from the versions that pom.xml pins, then never again."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from local.commands import Say, run
from local.environment import chosen, for_maven
from local.errors import Refusal
from local.files import remove
from local.locks import wait_for
from local.paths import HOME, ROOT

__all__ = ["ROOT", "Binaries", "ensure", "find_java", "require_tools"]

POM = ROOT / "local" / "pom.xml"
STAMP = HOME / "binaries.stamp"

JAVA_AT_LEAST = 17
MARIADB_AT_LEAST = (10, 11)


@dataclass(frozen=True)
class Binaries:
    """Where the programs are. All of them were found to run on this machine."""

    java: str
    kafka_libs: Path
    mariadbd: Path
    mariadb: Path
    broker_classes: Path
    """Where `programs` keeps the classes of a broker."""
    system_tables: Path | None
    """The folder of SQL that makes an empty data directory; None where mariadbd is the machine's own."""


def ensure(say: Say = print) -> Binaries:
    """Return the programs, after fetching what pom.xml names and is not here yet.

    Needs no network and starts no Maven when pom.xml is unchanged. Raises Refusal where the machine lacks something.
    """
    java = find_java()
    if not _are_here():
        with wait_for("binaries"):
            if not _are_here():
                _fetch(say)
    libs, classes = HOME / "kafka" / "libs", HOME / "kafka" / "broker-classes.jsa"
    bundled = HOME / "mariadb"
    if _runs(bundled / "bin" / "mariadbd"):
        server, client, tables = bundled / "bin" / "mariadbd", bundled / "bin" / "mariadb", bundled / "share"
        return Binaries(java, libs, server, client, classes, tables)
    server, client = _installed_mariadb()
    return Binaries(java, libs, server, client, classes, None)


def require_tools() -> None:
    """Raise Refusal where a tool is missing that `ensure` is going to need."""
    find_java()
    if not _are_here():
        _find_maven()


def find_java() -> str:
    """Return a Java that is new enough: JAVA_HOME's, or else the one on the PATH."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    need = f"Kafka needs Java {JAVA_AT_LEAST} or newer"
    if java is None or not Path(java).is_file():
        where = f"JAVA_HOME ({home}) has none" if home else "there is none on the PATH"
        raise Refusal(f"{need} and {where}: install it (Debian, Ubuntu: apt install openjdk-17-jre-headless).")
    told = subprocess.run([java, "-version"], env=chosen(), capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    if version is None or int(version[1]) < JAVA_AT_LEAST:
        is_one = f"is Java {version[1]}" if version else "does not tell its version"
        raise Refusal(f"{need} and {java} {is_one}: install a newer one, or point JAVA_HOME to it.")
    return java


def _are_here() -> bool:
    return STAMP.is_file() and STAMP.read_text(errors="replace") == _wanted()


def _wanted() -> str:
    return hashlib.sha256(POM.read_bytes()).hexdigest() + " " + platform.machine()


def _find_maven() -> str:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Refusal("Maven fetches Kafka and MariaDB, and no mvn is on the PATH: install it (apt install maven).")
    return mvn


def _fetch(say: Say) -> None:
    mvn = _find_maven()
    STAMP.unlink(missing_ok=True)
    # Jars of another version must not stay on the class path, nor half of an unpacked archive.
    for made in ("kafka", "mariadb", "target"):
        remove(HOME / made)
    say("fetching Kafka and MariaDB with Maven (about 200 MB, once)")
    # Its interactive mode is the one that shows how far a big file is.
    command = [mvn, "--file", os.path.relpath(POM, ROOT), "-Dstyle.color=never", "package"]
    run(
        command,
        ROOT,
        "fetch what local/pom.xml names",
        lambda line: say(f"maven: {line}"),
        environment=for_maven(),
        progress="Progress",
    )
    STAMP.write_text(_wanted())
    say("Kafka and MariaDB are here")


def _runs(program: Path) -> bool:
    if not program.is_file():
        return False
    try:
        told = subprocess.run([program, "--version"], env=chosen(), capture_output=True, check=False)
    except OSError:
        return False
    return told.returncode == 0


def _installed_mariadb() -> tuple[Path, Path]:
    """Return the machine's own server and client, where the bundled ones cannot run."""
    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"  # where Debian has it, and few users look
    server, client = shutil.which("mariadbd", path=path), shutil.which("mariadb", path=path)
    need = f"MariaDB {'.'.join(map(str, MARIADB_AT_LEAST))} or newer"
    if server is None or client is None:
        kind = f"{sys.platform} {platform.machine()}"
        raise Refusal(
            f"The bundled MariaDB does not run on this machine ({kind}) and no mariadbd is on the PATH: "
            f"install {need} (apt install mariadb-server)."
        )
    told = subprocess.run([server, "--version"], env=chosen(), capture_output=True, text=True, check=False).stdout
    version = re.search(r"Ver (\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < MARIADB_AT_LEAST:
        raise Refusal(f"{server} is not new enough (it says: {told.strip() or 'nothing'}): install {need}.")
    return Path(server), Path(client)
