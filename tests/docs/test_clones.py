"""A clone made on Windows, or where git is told to end lines as there, holds the same bytes."""

import subprocess
from pathlib import Path

import pytest

from local.paths import ROOT
from tests.clones import WINDOWS, clone


@pytest.mark.parametrize(
    "settings",
    [("core.autocrlf=true",), ("core.eol=crlf",), ("core.autocrlf=input", "core.eol=crlf"), WINDOWS],
    ids=" ".join,
)
def test_every_file_of_a_clone_is_what_was_committed_to_the_byte(tmp_path: Path, settings: tuple[str, ...]) -> None:
    made = clone(tmp_path / "clone", *settings)
    listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-tree", "-rz", "HEAD"], text=True)
    lines = (line.partition("\t") for line in listed.strip("\0").split("\0"))
    committed = {name: told.split()[2] for told, _, name in lines}
    command = ["git", "-C", str(made), "hash-object", "--no-filters", "--stdin-paths"]
    found = subprocess.check_output(command, input="\n".join(committed), text=True).split()
    assert dict(zip(committed, found, strict=True)) == committed


def test_no_file_is_a_link_which_windows_and_archives_may_lose() -> None:
    listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-tree", "-r", "HEAD"], text=True)
    assert [line for line in listed.splitlines() if line.startswith("120000")] == []
