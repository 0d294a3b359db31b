"""A Kafka as users get it: who has no name may read, and init-kafka.sh has given the rights."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from local.kafka import Kafka
from local.paths import ROOT
from shop.contract.lifecycle import TOPICS
from tests.local.waiting import wait_until
from tools.kit import prepared

REPLY = 20.0


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


def leads(kafka: Kafka) -> bool:
    """Whether the broker knows by now that it leads the topics that it has from before."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    asked = {ck.TopicPartition(topic, 0): OffsetSpec.latest() for topic in TOPICS}  # type: ignore[no-untyped-call]
    return all(answer.exception(REPLY) is None for answer in admin.list_offsets(asked).values())


@pytest.fixture(scope="package")
def guarded(new_kafka: Callable[..., Kafka], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    kafka = new_kafka(
        Path(tmp_path_factory.mktemp("guarded")), properties={"allow.everyone.if.no.acl.found": "false"}
    )
    prepared.copy_topics_and_users(kafka.home)
    kafka.start()
    kafka.wait_ready()
    wait_until(lambda: leads(kafka), "the broker to lead its topics")
    yield kafka
    kafka.stop()
