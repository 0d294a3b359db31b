"""What `make` refuses before it starts anything, in one sentence."""

import shutil
import socket
import sys
from pathlib import Path

import pytest

from local.server import HOST
from tests.local.checkout import Checkout, refusal


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("refusals") / "checkout")


@pytest.mark.parametrize("setting", ["KAFKA_PORT", "MARIADB_PORT"])
@pytest.mark.parametrize("target", ["run", "up"])
def test_a_taken_port_is_refused(checkout: Checkout, target: str, setting: str) -> None:
    with socket.create_server((HOST, 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        assert f"port {port} on [::1]" in (said := refusal(checkout.make(target, **{setting: str(port)})))
        assert f"{setting}=" in said


def test_a_port_that_is_none_is_refused(checkout: Checkout) -> None:
    assert refusal(checkout.make("run", KAFKA_PORT="many")).startswith("KAFKA_PORT is 'many' and must be a port")


def path_with(folder: Path, *programs: str) -> str:
    """A PATH on which nothing is but these."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found
        (folder / program).symlink_to(found)
    return str(folder)


def java(folder: Path, version: str) -> str:
    """A JAVA_HOME whose Java says that it has this version, and can do nothing."""
    program = folder / "java" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2019-01-15' >&2\n")
    program.chmod(0o755)
    return str(folder / "java")


def test_a_missing_java_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    said = refusal(checkout.make("run", PATH=path_with(tmp_path / "bin", "env"), JAVA_HOME=""))
    assert said.startswith("Kafka needs Java 17 or newer and there is none on the PATH: install it")


def test_a_java_that_is_too_old_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    home = java(tmp_path, "11.0.2")
    said = refusal(checkout.make("run", JAVA_HOME=home))
    assert said == (
        f"Kafka needs Java 17 or newer and {home}/bin/java is Java 11: install a newer one, or point JAVA_HOME to it."
    )


def test_a_missing_maven_is_refused_when_it_is_needed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout")
    (checkout.home / ".local" / "binaries.stamp").unlink()
    said = refusal(checkout.make("run", PATH=path_with(tmp_path / "bin", "env"), JAVA_HOME=java(tmp_path, "17.0.2")))
    assert said == "Maven fetches Kafka and MariaDB, and no mvn is on the PATH: install it (apt install maven)."


def test_a_missing_python_is_refused(checkout: Checkout) -> None:
    made = checkout.make("run", PYTHON="no-such-python")
    assert made.returncode == 2
    assert "needs Python 3.11 or newer and there is no no-such-python" in made.stdout + made.stderr


def test_a_python_that_is_too_old_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text(
        f"#!/bin/sh\nshift 3\nexec {sys.executable} -c 'import sys; sys.version_info = (3, 9, 0)\n"
        'import runpy; runpy.run_module("local", run_name="__main__")\'\n'
    )
    old.chmod(0o755)
    assert "needs Python 3.11 or newer and" in refusal(checkout.make("run", PYTHON=str(old)))
