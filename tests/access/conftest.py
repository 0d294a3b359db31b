"""A Kafka as users get it: who has no name may read, and init-kafka.sh has given the rights."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kafka import Kafka
from local.paths import ROOT
from tools.kit.stack import new_kafka


def init_kafka(kafka: Kafka, **settings: str) -> str:
    """Runs init-kafka.sh, as often as you like; what it says."""
    done = subprocess.run(
        [ROOT / "init-kafka.sh"],
        env=os.environ | {"BOOTSTRAP": kafka.login} | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="package")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    kafka = new_kafka(
        Path(tmp_path_factory.mktemp("guarded")), properties={"allow.everyone.if.no.acl.found": "false"}
    )
    kafka.start()
    kafka.wait_ready()
    init_kafka(kafka)
    yield kafka
    kafka.stop()
