"""The real Kafka and MariaDB: fetched once with Maven from the versions that pom.xml pins, then never again."""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local.errors import Refusal

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".local"
POM = ROOT / "local" / "pom.xml"

JAVA_AT_LEAST = 17
MARIADB_AT_LEAST = (10, 11)
PROGRESS_EVERY = 3.0  # seconds

Say = Callable[[str], None]


@dataclass(frozen=True)
class Binaries:
    """Where the programs are. All of them were found to run on this machine."""

    java: str
    kafka_libs: Path
    mariadbd: Path
    mariadb: Path
    system_tables: Path | None
    """The folder of SQL that makes an empty data directory; None where mariadbd is the machine's own."""


def ensure(say: Say = print) -> Binaries:
    """Return the programs, after fetching what pom.xml names and is not here yet.

    Needs no network and starts no Maven when pom.xml is unchanged. Raises Refusal where the machine lacks something.
    """
    java = find_java()
    stamp = HOME / "binaries.stamp"
    wanted = hashlib.sha256(POM.read_bytes()).hexdigest() + " " + platform.machine()
    if not stamp.is_file() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        # Jars of another version must not stay on the class path, nor half of an unpacked archive.
        for made in ("kafka", "mariadb", "target"):
            shutil.rmtree(HOME / made, ignore_errors=True)
        _fetch(say)
        stamp.write_text(wanted)
    bundled = HOME / "mariadb"
    if _runs(bundled / "bin" / "mariadbd"):
        server, client, tables = bundled / "bin" / "mariadbd", bundled / "bin" / "mariadb", bundled / "share"
        return Binaries(java, HOME / "kafka" / "libs", server, client, tables)
    server, client = _installed_mariadb()
    return Binaries(java, HOME / "kafka" / "libs", server, client, None)


def find_java() -> str:
    """Return a Java that is new enough: JAVA_HOME's, or else the one on the PATH."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    need = f"Kafka needs Java {JAVA_AT_LEAST} or newer"
    if java is None or not Path(java).is_file():
        where = f"JAVA_HOME ({home}) has none" if home else "there is none on the PATH"
        raise Refusal(f"{need} and {where}: install it (Debian, Ubuntu: apt install openjdk-17-jre-headless).")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    if version is None or int(version[1]) < JAVA_AT_LEAST:
        is_one = f"is Java {version[1]}" if version else "does not tell its version"
        raise Refusal(f"{need} and {java} {is_one}: install a newer one, or point JAVA_HOME to it.")
    return java


def _fetch(say: Say) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Refusal(
            "Maven fetches Kafka and MariaDB and there is no mvn on the PATH: install it (apt install maven)."
        )
    HOME.mkdir(exist_ok=True)
    say("fetching Kafka and MariaDB with Maven (about 200 MB, once)")
    command = [mvn, "-f", str(POM), "-Dstyle.color=never", "package"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as maven:
        assert maven.stdout is not None
        errors = _follow(maven.stdout, say)
    if maven.returncode:
        for line in errors:
            say(line)
        raise Refusal("Maven could not fetch what local/pom.xml names: see its words above, then try again.")


def _follow(output: IO[bytes], say: Say) -> list[str]:
    """Tell now and then how far Maven is, and return what it called an error."""
    errors: list[str] = []
    files, told = 0, time.monotonic()
    for line in _lines(output):
        if line.startswith("[ERROR]"):
            errors.append(line)
        if line.startswith("Downloaded") and ".jar" in line:
            files += 1
        elif line.startswith("Progress") and time.monotonic() - told >= PROGRESS_EVERY:
            told = time.monotonic()
            say(f"{files} files here, now {line.partition(': ')[2].strip()}")
    return errors


def _lines(output: IO[bytes]) -> Iterator[str]:
    """Maven ends a line of progress with a carriage return, and all others with a line feed."""
    rest = b""
    while chunk := os.read(output.fileno(), 65536):
        *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
        yield from (line.decode(errors="replace") for line in lines)
    yield rest.decode(errors="replace")


def _runs(program: Path) -> bool:
    if not program.is_file():
        return False
    try:
        told = subprocess.run([program, "--version"], capture_output=True, check=False)
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
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"Ver (\d+)\.(\d+)", told)
    if version is None or (int(version[1]), int(version[2])) < MARIADB_AT_LEAST:
        raise Refusal(f"{server} is too old ({told.strip()}): install {need}.")
    return Path(server), Path(client)
