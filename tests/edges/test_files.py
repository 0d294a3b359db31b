"""A file of a user's that cannot be used ends every program with one sentence that names it, and exit code 2."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.binaries import ROOT
from order_service.settings import OrderSettings
from shop.edges.settings import Settings, load
from shop.runtime.errors import UserError

PROGRAMS = {
    **{name: (name, ["main.py"]) for name in ("checkout", "order", "fulfillment", "analytics")},
    **{name: ("analytics", ["-m", f"analytics_service.{name}"]) for name in ("kpi", "export", "audit", "redrive")},
    "truth": ("checkout", ["-m", "truth"]),
}
NOBODY = 65_534
WRONG = {
    "Latin-1": b"# caf\xe9\n",
    "UTF-16 as Windows writes it": "SPEED=1\n".encode("utf-16"),
    "UTF-16 without a mark": "SPEED=1\n".encode("utf-16-le"),
    "with a NUL": b"SPEED=1\nKAFKA_USER=a\0b\n",
    "a folder": None,
    "a link to nowhere": "nowhere",
    "a link to itself": ".env",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a program finds its .env; another user gets there, too."""
    with tempfile.TemporaryDirectory(prefix="env-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def run(name: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The program with an .env of the test's, and nobody to talk to."""
    service, arguments = PROGRAMS[name]
    path = [str(ROOT / part) for part in (".", "shared", "checkout", "order", "fulfillment", "analytics")]
    program = [str(ROOT / service / word) if word.endswith(".py") else word for word in arguments]
    if name == "truth":  # It goes by the .env of the services, wherever it is called.
        (folder / "checkout").mkdir()
        (folder / ".env").rename(folder / "checkout" / ".env")
        here = f"import truth.business as b, pathlib, runpy; b.ROOT = pathlib.Path({str(folder)!r}); "
        program = ["-c", here + "runpy.run_module('truth', run_name='__main__')"]
    return subprocess.run(
        [sys.executable, *program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "KAFKA_BOOTSTRAP": "[::1]:1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sentence(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_names_an_env_file_that_is_not_utf_8(name: str, folder: Path) -> None:
    (folder / ".env").write_bytes(b"# a\n# caf\xe9\n")
    assert "/.env is not UTF-8 (line 2)" in sentence(run(name, folder))


def refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """What a service that is started there says of its settings."""
    monkeypatch.chdir(folder)
    with pytest.raises(UserError) as error:
        load(OrderSettings)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("kind", WRONG)
def test_an_env_file_that_is_none_is_named(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, content = folder / ".env", WRONG[kind]
    if content is None:
        file.mkdir()
    elif isinstance(content, str):
        file.symlink_to(content)
    else:
        file.write_bytes(content)
    assert str(file) in refused(monkeypatch, folder)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfSPEED=0\n", b"SPEED=0\r\n", b"\xef\xbb\xbfSPEED=0\r\nSEED=1\r\n"])
def test_what_windows_editors_write_is_understood(
    content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_bytes(content)
    assert "SPEED = '0'" in refused(monkeypatch, folder)


def test_an_env_file_of_somebody_else_is_named(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    file = folder / ".env"
    file.write_text("SPEED=1\n")
    file.chmod(0o600)
    read, write = os.pipe()
    # In a child, because only root can read where this Python may be installed.
    if os.fork() == 0:
        os.setuid(NOBODY)
        try:
            load(Settings, _env_file=file)
        except UserError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.wait()
    assert os.read(read, 1000).decode() == f"{file} cannot be read: Permission denied"
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("kind", ["a folder", "not there", "not UTF-8", "below a file"])
def test_expectations_that_cannot_be_read_are_named(kind: str, folder: Path) -> None:
    file = folder / "expected"
    match kind:
        case "a folder":
            file.mkdir()
        case "not UTF-8":
            file.write_bytes(b"\xff\xfe")
        case "below a file":
            file.touch()
            file /= "x"
    PROGRAMS["expect"] = ("analytics", ["-m", "analytics_service.audit", "--expect", str(file)])
    assert str(file) in sentence(run("expect", folder))
