"""docker-compose.yml on other machines: cloned on Windows, readable by its owner alone, or without IPv6."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.clones import WINDOWS, clone
from tests.compose.stack import SERVICES, BringUp, Stack

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def stack(brought_up: BringUp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("machines") / "Müller, it's a:b"
    yield from brought_up("docker-compose.yml", checkout=clone(folder, *WINDOWS, umask=0o077))


def test_a_clone_as_on_windows_that_only_its_owner_can_read_leads_to_a_completed_order(stack: Stack) -> None:
    stack.compose("up", "-d")
    stack.wait_healthy("kafka", "mariadb", *SERVICES)
    stack.wait_for_more_completed()
    stack.must_be_clean()


def test_the_database_is_set_up_as_the_services_rely_on(stack: Stack) -> None:
    assert stack.count("SELECT @@local_infile AND @@time_zone = '+00:00' AND @@idle_write_transaction_timeout = 15")


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("shop-order", ["python", "main.py"]),
        ("shop-order", ["python", "/images/front.py", "order", "9102"]),
        ("shop-kafka", ["bash", "/broker-start.sh", "/settings/broker.properties"]),
        ("shop-kafka", ["bash", "/init-kafka.sh"]),
    ],
    ids=["service", "front", "kafka", "init-kafka"],
)
@pytest.mark.usefixtures("stack")
def test_where_ipv6_is_off_a_container_ends_with_one_sentence_that_says_so(image: str, command: list[str]) -> None:
    off = ["--sysctl", "net.ipv6.conf.all.disable_ipv6=1"]
    done = subprocess.run(
        ["docker", "run", "--rm", *off, image, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    said = (done.stdout + done.stderr).strip().splitlines()
    assert len(said) == 1
    assert "IPv6 is off" in said[0]
    assert "docs/docker.md" in said[0]
