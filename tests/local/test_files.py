"""Files of a checkout that cannot be used: one sentence that names the first of them, and exit code 2."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import files
from local.errors import Refusal
from tests.local.checkout import Checkout, refusal

NOBODY = 65_534
# Root alone may be able to read where this Python is: everything is imported before it becomes somebody else.
AS_NOBODY = f"import os, sys, local.cli; os.setuid({NOBODY}); sys.exit(local.cli.main(sys.argv[1:]))"


@pytest.fixture
def checkout() -> Iterator[Checkout]:
    folder = Path(tempfile.mkdtemp(prefix="checkout-"))
    folder.chmod(0o755)
    yield Checkout(folder / "checkout")
    shutil.rmtree(folder)


def as_nobody(checkout: Checkout, verb: str) -> str:
    """The one sentence with which it is refused to another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, verb],
        cwd=checkout.home,
        env=checkout.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    (sentence,) = done.stderr.splitlines()
    return sentence


def test_a_damaged_memory_of_what_is_up_is_named(checkout: Checkout) -> None:
    memory = checkout.home / ".local" / "up.json"
    for content in (b"", b"[1]", b'["kafka"]', b'[{"pid": 1}]', b"5", b"\xff\xfe", b"garbage"):
        memory.write_bytes(content)
        assert refusal(checkout.make("down")).startswith(f"{memory} is damaged")
    for target in ("up", "run", "clean"):
        assert refusal(checkout.make(target)).startswith(f"{memory} is damaged")


def test_what_is_in_the_way_of_the_folder_is_named(checkout: Checkout) -> None:
    made = checkout.home / ".local"
    shutil.rmtree(made)
    made.touch()
    for target in ("up", "down"):
        assert refusal(checkout.make(target)).startswith(f"{made} cannot be used: File exists")


def test_a_lock_that_is_none_is_named_and_what_is_in_one_does_not_matter(checkout: Checkout) -> None:
    lock = checkout.home / ".local" / "stack.lock"
    lock.write_bytes(b"\xff\xfe\0")
    assert checkout.make("down").returncode == 0
    lock.unlink()
    lock.mkdir()
    assert refusal(checkout.make("down")).startswith(f"{lock} cannot be used: Is a directory")


@pytest.mark.parametrize("verb", ["up", "run", "down", "clean"])
@pytest.mark.parametrize("where", [".local", ".local/stack.lock", ".local/data/kafka/data/order-0"])
def test_what_sudo_left_is_named_with_the_way_out(checkout: Checkout, verb: str, where: str) -> None:
    theirs = checkout.home / where
    if where.endswith(".lock"):
        theirs.touch()
    else:
        theirs.mkdir(parents=True, exist_ok=True)
    for folder, folders, names in os.walk(checkout.home):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *names))):
            if path != theirs:
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    sentence = as_nobody(checkout, verb)
    assert sentence.startswith(f"{theirs} cannot be used: Permission denied, because it belongs to root")
    assert sentence.endswith(f"sudo chown -R nobody {checkout.home}")


def test_a_checkout_of_somebody_else_is_named(checkout: Checkout) -> None:
    shutil.rmtree(checkout.home / ".local")
    sentence = as_nobody(checkout, "up")
    assert sentence.startswith(f"{checkout.home}/.local cannot be used: Permission denied, because {checkout.home} ")


def test_a_disk_without_room_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"venv needs 10+ MB and only \d+ MB are free there: make room"):
        files.require_room(tmp_path / "not" / "there" / "venv", 10**12)
    files.require_room(tmp_path, 1)


@pytest.mark.parametrize(("target", "unbuffered"), [("down", ""), ("down", "1"), ("status", ""), ("nonsense", "")])
@pytest.mark.parametrize("output", [">&-", ">/dev/full", "| true", "2>&- >&-"])
def test_an_output_that_takes_nothing_leads_to_no_traceback(
    checkout: Checkout, target: str, output: str, unbuffered: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m local {target} {output}"],
        cwd=checkout.home,
        env=checkout.environment | {"PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    if (target, output) == ("down", ">/dev/full"):
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
