"""The environment of what this package starts: chosen here, whatever the caller's shell exports for others."""

import os
import tempfile
from functools import cache
from pathlib import Path

NAMES = Path(__file__).with_name("environment.txt")
LOCALE = {"LC_ALL": "C.UTF-8"}
"""Text is UTF-8 and i has one upper case, whatever language the caller speaks."""
OF_A_NETWORK = ("-Djavax.net.ssl.", "-Dhttp.", "-Dhttps.", "-Djava.net.", "-DsocksProxy")


def chosen() -> dict[str, str]:
    """What environment.txt names of this process's own, and the locale. TMPDIR is a folder that can be used."""
    passed = {name: value for name, value in os.environ.items() if is_named(name)}
    passed.pop("JAVA_TOOL_OPTIONS", None)
    if "TMPDIR" in passed:
        passed["TMPDIR"] = tempfile.gettempdir()
    return passed | LOCALE


def for_maven() -> dict[str, str]:
    """What Maven's Java is told besides: how the caller's other Java programs get through the network."""
    told = os.environ.get("JAVA_TOOL_OPTIONS", "").split()
    network = [option for option in told if option.startswith(OF_A_NETWORK)]
    return {"MAVEN_OPTS": " ".join([os.environ.get("MAVEN_OPTS", ""), *network]).strip()}


def is_named(name: str) -> bool:
    """Whether environment.txt names this variable."""
    exact, beginnings = _names()
    return name in exact or name.startswith(beginnings)


@cache
def _names() -> tuple[frozenset[str], tuple[str, ...]]:
    """The names of environment.txt, and the beginnings of names."""
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    words = [word for line in lines for word in line.partition("#")[0].split()]
    return frozenset(words), tuple(word.removesuffix("%") for word in words if word.endswith("%"))
