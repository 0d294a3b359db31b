"""`make` from a folder of any name, in a shell that exports for other programs, under any locale and umask."""

import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import environment
from local.paths import LONGEST
from tests.local import hostile
from tests.local.checkout import SERVICES, Checkout, NewCheckout, refusal
from tests.locales import in_locale

NAME = 'Müller, it\'s "100%d" #1; & [a](c) `d` * ? \\ = ~ 日本😀 '
SETS_ITSELF = {"PYTHONUNBUFFERED", "KAFKA_BOOTSTRAP", "MARIADB_HOST", "MARIADB_PORT", "LC_ALL"}


@pytest.fixture(scope="module")
def checkout(new_checkout: NewCheckout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout under a name that has nearly everything, with everything at work, started from a hostile shell."""
    base = tmp_path_factory.mktemp("shell")
    checkout = new_checkout(base / "home" / NAME)
    checkout.environment |= hostile.variables(base / "hostile") | {"CHECKOUT_RATE": "3"}
    running = checkout.start("run")
    running.wait_for("all started", within=120)
    for service in SERVICES:
        running.wait_for(f"{service:<11} | finds")
    yield checkout
    checkout.end_all()


def by_hand(checkout: Checkout, *command: str, **environment: str) -> str:
    """What it prints, called by a person in that shell."""
    # The broken library would already break the shell's own programs.
    own = checkout.environment | {
        "LD_LIBRARY_PATH": "",
        "TMPDIR": "/tmp",
        "BOOTSTRAP": f"[::1]:{checkout.kafka_port + 2}",
    }
    done = subprocess.run(
        command, cwd=checkout.home, env=own | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_what_make_starts_finds_in_its_environment_only_what_was_chosen_and_our_settings(checkout: Checkout) -> None:
    assert checkout.running
    for line in checkout.running.log.splitlines():
        if " | finds " in line:
            found = set(line.partition("| finds ")[2].split())
            assert "CHECKOUT_RATE" in found
            assert found <= set(environment.chosen()) | set(checkout.environment) | SETS_ITSELF
            assert not found & (set(hostile.variables(checkout.home / "hostile")) - {"TMPDIR"})


def test_nothing_lies_outside_of_the_checkout(checkout: Checkout) -> None:
    around = checkout.home.parent
    assert [path.name for path in around.iterdir()] == [checkout.home.name]
    assert {path.name for path in around.parent.iterdir()} == {around.name, "hostile"}


def test_kafkas_tools_print_what_was_asked_and_nothing_else(checkout: Checkout) -> None:
    server = f"[::1]:{checkout.kafka_port}"
    listed = by_hand(checkout, "local/bin/kafka-topics.sh", "--bootstrap-server", server, "--list")
    assert listed.split() == ["checkout", "fulfillment", "order"]


def test_the_client_comes_in_and_speaks_utf_8(checkout: Checkout) -> None:
    assert by_hand(checkout, "local/mysql", "--batch", "-e", "SELECT 'ü' AS letter").split() == ["letter", "ü"]


def test_init_kafka_goes_by_the_settings_alone(checkout: Checkout) -> None:
    assert "0 rights are new, 0 are taken back" in by_hand(checkout, "./init-kafka.sh")


@pytest.mark.parametrize("language", ["tr_TR", "lt_LT"])
def test_no_language_changes_what_the_programs_do(checkout: Checkout, tmp_path: Path, language: str) -> None:
    there = in_locale(language, tmp_path)
    # A password that is set is stored again: under the name of its setting, in which there is an i.
    told = by_hand(checkout, "./init-kafka.sh", FULFILLMENT_PASSWORD="fulfillmentpw", **there)
    assert "user fulfillment has the password that FULFILLMENT_PASSWORD says" in told
    assert "UTC" in by_hand(checkout, "local/mysql", "--batch", "-e", "SELECT 'UTC'", **there)


def test_without_the_right_to_run_a_file_and_with_everybodys_right_to_write_it_all_is_as_set(
    new_checkout: NewCheckout, tmp_path: Path
) -> None:
    """As on a disk of Windows, from an archive, or under umask 0; and as deep as MariaDB can work."""
    deep = "/".join([unicodedata.normalize("NFD", "Müller"), "d" * 190, "e" * 300])
    checkout = new_checkout(Path(str(tmp_path / deep)[: LONGEST - 10]))
    for path in (checkout.home, *checkout.home.rglob("*")):
        if not path.is_symlink() and ".local" not in path.parts and "venv" not in path.parts:
            path.chmod(0o777 if path.is_dir() else 0o666)
    made = checkout.make("up")
    try:
        assert made.returncode == 0, made.stdout + made.stderr
        ask = "SELECT @@time_zone, @@local_infile, @@idle_write_transaction_timeout"
        assert by_hand(checkout, "bash", "local/mysql", "--skip-column-names", "-e", ask).split() == [
            "+00:00",
            "1",
            "15",
        ]
    finally:
        assert checkout.make("down").returncode == 0


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a:b", "has a colon"),
        ("a$HOME", "has a dollar sign"),
        ("a{b}", "or a brace"),
        ("a\nb", "has a line break"),
        ("a\tb", "a tab or another control character"),
        (os.fsdecode("Müller".encode("latin-1")), "is not UTF-8"),
        ("/".join(["d" * 200] * 3), f"{LONGEST} is the most"),
    ],
)
def test_a_folder_that_will_not_do_is_refused_before_anything_is_made(tmp_path: Path, name: str, reason: str) -> None:
    checkout = Checkout(tmp_path / "fine")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    checkout.home = checkout.home.rename(tmp_path / name)
    before = sorted(checkout.home.rglob("*"))
    said = refusal(checkout.make("up"))
    assert said.startswith("The path of this folder ")
    assert reason in said
    after = [path for path in checkout.home.rglob("*") if "__pycache__" not in path.parts]
    assert sorted(after) == [path for path in before if "__pycache__" not in path.parts]


def test_a_mirror_a_proxy_and_certificates_of_a_company_are_still_used(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "localhost",
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_CONFIG_FILE": "/etc/company/pip.conf",
        "SSL_CERT_FILE": "/etc/company/ca.pem",
        "MAVEN_ARGS": "--settings /etc/company/settings.xml",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAVEN_OPTS", "-Dhttps.proxyHost=proxy.example")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Xmx8m -Djavax.net.ssl.trustStoreType=PKCS12 -Duser.language=tr")
    chosen = environment.chosen() | environment.for_maven()
    assert told.items() <= chosen.items()
    assert chosen["MAVEN_OPTS"] == "-Dhttps.proxyHost=proxy.example -Djavax.net.ssl.trustStoreType=PKCS12"
    assert "JAVA_TOOL_OPTIONS" not in chosen
    assert "PIP_USER" not in chosen


def test_whatever_the_callers_language_programs_run_in_one_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LANG", "LC_CTYPE", "LANGUAGE"):
        monkeypatch.setenv(name, "tr_TR.UTF-8")
    locale = {name: value for name, value in environment.chosen().items() if name.startswith(("LC_", "LANG"))}
    assert locale == {"LC_ALL": "C.UTF-8"}


@pytest.mark.usefixtures("package_index")
def test_an_environment_is_made_and_works_whatever_the_folder_is_called_and_the_shell_tells_pip(
    tmp_path: Path,
) -> None:
    checkout = Checkout(tmp_path / NAME)
    checkout.add("shared")
    service = checkout.home / "order"
    (service / "requirements.txt").write_text("-e ../shared\nprometheus-client==0.26.0\n")
    of_the_user = tmp_path / "pip.conf"
    of_the_user.write_text("[install]\nuser = true\n[global]\nrequire-virtualenv = true\n")
    hostile_pip = {"PIP_USER": "1", "PIP_TARGET": str(tmp_path / "target"), "PIP_NO_BINARY": ":all:"}
    told = subprocess.run(
        [sys.executable, "-m", "local", "ensure", "order"],
        cwd=checkout.home,
        env=checkout.environment | hostile_pip | {"PIP_CONFIG_FILE": str(of_the_user), "LC_ALL": "POSIX"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    imported = "import prometheus_client, shop.contract.ids; print(shop.contract.ids.__file__)"
    python = service / "venv" / "bin" / "python"
    assert subprocess.check_output([python, "-c", imported], text=True).startswith(str(checkout.home))
    assert not (tmp_path / "target").exists()


def test_a_python_that_needs_libraries_of_its_own_finds_them(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$LD_LIBRARY_PATH" = {tmp_path} ] || exit 127\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = checkout.make("down", PYTHON=str(python), LD_LIBRARY_PATH=str(tmp_path))
    assert made.returncode == 0, made.stderr
