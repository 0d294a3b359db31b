"""NO_COLOR and FORCE_COLOR as no-color.org and force-color.org have it, the same in every program."""

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Mapping

import pytest

from local import console
from local.binaries import ROOT
from shop.edges import colour

WANTED = {
    (): {"terminal": True, "pipe": False},
    ("NO_COLOR=1",): {"terminal": False, "pipe": False},
    ("NO_COLOR=0",): {"terminal": False, "pipe": False},
    ("NO_COLOR=",): {"terminal": True, "pipe": False},
    ("FORCE_COLOR=1",): {"terminal": True, "pipe": True},
    ("FORCE_COLOR=3",): {"terminal": True, "pipe": True},
    ("FORCE_COLOR=0",): {"terminal": True, "pipe": True},
    ("FORCE_COLOR=",): {"terminal": True, "pipe": False},
    ("NO_COLOR=1", "FORCE_COLOR=1"): {"terminal": False, "pipe": False},
    ("NO_COLOR=", "FORCE_COLOR=1"): {"terminal": True, "pipe": True},
    ("TERM=dumb",): {"terminal": False, "pipe": False},
    ("TERM=dumb", "FORCE_COLOR=1"): {"terminal": True, "pipe": True},
}
CASES = [(settings, kind, wanted) for settings, both in WANTED.items() for kind, wanted in both.items()]
PATH = os.pathsep.join(str(ROOT / part) for part in (".", "shared", "checkout", "order", "fulfillment", "analytics"))


def environment(settings: tuple[str, ...]) -> Mapping[str, str]:
    ours = dict(setting.split("=") for setting in settings)
    rest = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "TERM"}}
    return {**rest, "TERM": "xterm", "PYTHONPATH": PATH, **ours}


def shown(command: list[str], settings: tuple[str, ...], kind: str, until: bytes) -> bytes:
    """What a program prints to a terminal or a pipe until that is in it, or it has ended; then it is ended."""
    read, write = pty.openpty() if kind == "terminal" else os.pipe()
    told = b""
    with subprocess.Popen(
        [sys.executable, *command], env=environment(settings), stdout=write, stderr=subprocess.DEVNULL
    ) as program:
        os.close(write)
        # A terminal says with an error that nobody writes to it any more.
        with contextlib.suppress(OSError):
            while until not in told and (more := os.read(read, 100_000)):
                told += more
        program.kill()
    os.close(read)
    assert until in told
    return told


@pytest.mark.parametrize(("settings", "kind", "wanted"), CASES)
def test_both_deciders_decide_as_the_conventions_do(
    settings: tuple[str, ...], kind: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", environment(settings))
    read, write = pty.openpty() if kind == "terminal" else os.pipe()
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert colour.wants_colour(stream) == console.wants_colour() == wanted
    os.close(read)


SERVICE = str(ROOT / "order" / "main.py")
"""It says that it starts, and waits for a Kafka that is not there."""
TABLE = """
from analytics_service.audit.report import Report
from shop.edges.terminal import console
Report([("once", "Once.")]).print(console())
"""
FEW = [
    ((), "terminal"),
    ((), "pipe"),
    (("NO_COLOR=1", "FORCE_COLOR=1"), "terminal"),
    (("FORCE_COLOR=1",), "pipe"),
    (("TERM=dumb",), "terminal"),
]


@pytest.mark.parametrize(("settings", "kind"), FEW)
def test_a_table_is_coloured_so(settings: tuple[str, ...], kind: str) -> None:
    told = shown(["-c", TABLE], settings, kind, b"per second")
    assert (b"\033[" in told) == WANTED[settings][kind]


@pytest.mark.parametrize(("settings", "kind"), FEW)
def test_a_service_colours_its_log_so(settings: tuple[str, ...], kind: str) -> None:
    told = shown([SERVICE], (*settings, "KAFKA_BOOTSTRAP=[::1]:1", "HTTP_PORT=0"), kind, b"service")
    assert (b"\033[" in told) == WANTED[settings][kind]


def test_the_publishing_services_start_without_rich() -> None:
    program = "import sys; sys.modules['rich'] = None; import shop.edges.service"
    subprocess.run([sys.executable, "-c", program], env=environment(()), check=True)
