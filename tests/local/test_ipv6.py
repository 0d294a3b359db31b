"""Where IPv6 is off, in any way, one sentence says what is off and how to switch it on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.paths import ROOT
from tests.local.checkout import Checkout, refusal

# A network of its own, in which whoever calls is root.
OWN_NETWORK = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--net", "--map-root-user")
OFF = {
    "in the kernel": ("", "this kernel has none: start it without ipv6.disable=1"),
    "by sysctl": (
        "ip link set lo up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1",
        "(sudo sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0)",
    ),
    "for the loopback": (
        "ip link set lo up && sysctl -qw net.ipv6.conf.lo.disable_ipv6=1",
        "(sudo sysctl -w net.ipv6.conf.lo.disable_ipv6=0)",
    ),
    "by the missing address": (
        "ip link set lo up && ip -6 address del ::1/128 dev lo",
        "sudo ip -6 address add ::1/128 dev lo",
    ),
    "as the loopback is down": ("true", "sudo ip link set lo up"),
}


def where_it_is_off(how: str) -> list[str]:
    """What stands before a command that is to run so. Skips the test where this machine lends no such network."""
    first, _ = OFF[how]
    if not first:
        return [sys.executable, str(ROOT / "tests" / "without_ipv6.py")]
    before = [*OWN_NETWORK, "sh", "-c", f'{first} && exec "$@"', "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network of one's own can be made here")
    return before


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("ipv6") / "checkout")


@pytest.mark.parametrize("how", OFF)
@pytest.mark.parametrize("target", ["run", "up"])
def test_make_says_what_is_off_and_how_to_switch_it_on(checkout: Checkout, how: str, target: str) -> None:
    said = refusal(checkout.make(target, before=where_it_is_off(how)))
    assert OFF[how][1] in said
    assert "choose another" not in said


@pytest.mark.parametrize(
    ("how", "folder", "command", "setting"),
    [
        *((how, "order", ["main.py"], "KAFKA_BOOTSTRAP is [::1]:9094") for how in OFF),
        ("in the kernel", "analytics", ["main.py"], "MARIADB_HOST is ::1"),
        ("in the kernel", "analytics", ["-m", "analytics_service.export", "order"], "MARIADB_HOST is ::1"),
        ("in the kernel", "analytics", ["-m", "analytics_service.kpi"], "MARIADB_HOST is ::1"),
        ("in the kernel", "analytics", ["-m", "analytics_service.audit"], "KAFKA_BOOTSTRAP is [::1]:9094"),
    ],
)
def test_a_program_names_the_setting_and_how_to_switch_it_on(
    tmp_path: Path, how: str, folder: str, command: list[str], setting: str
) -> None:
    program = [
        sys.executable,
        str(ROOT / folder / command[0]) if command[0] == "main.py" else command[0],
        *command[1:],
    ]
    done = subprocess.run(
        [*where_it_is_off(how), *program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith(f"error: IPv6 is off on this machine, and {setting}: switch it on (sudo sysctl -w ")
    assert said.endswith(f"or set {setting.split(maxsplit=1)[0]} to an IPv4 address")


def test_a_program_whose_own_addresses_are_ipv4_needs_no_ipv6() -> None:
    told = {"MARIADB_HOST": "127.0.0.1", "MARIADB_PORT": "1"}
    done = subprocess.run(
        [*where_it_is_off("in the kernel"), sys.executable, "-m", "analytics_service.export", "order"],
        env=os.environ | told | {"PYTHONPATH": str(ROOT / "analytics")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "IPv6" not in done.stderr
    assert "MariaDB at [127.0.0.1]:1/analytics does not answer" in done.stderr
