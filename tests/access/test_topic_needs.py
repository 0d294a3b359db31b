"""init-kafka.sh says where topics are not as the shop needs them, and mends that where it removes no message."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
)

from local.kafka import ADMIN_PASSWORD, Kafka
from tests.access.conftest import init_kafka
from tests.access.visitor import Visitor
from tools.kit import prepared

REPLY = 20.0
MENDED = {
    "cleanup.policy": ("compact,delete", "delete"),
    "message.timestamp.type": ("CreateTime", "LogAppendTime"),
    "max.message.bytes": ("1000", "1048588"),
    "unclean.leader.election.enable": ("true", "false"),
}
"""By setting: what somebody made of it, and what it must be."""
SAID = {"retention.ms": "3600000", "retention.bytes": "1000000", "min.insync.replicas": "2"}


@pytest.fixture(scope="module")
def shop_kafka(new_kafka: Callable[..., Kafka], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of somebody else's: it forgets offsets after an hour."""
    kafka = new_kafka(Path(tmp_path_factory.mktemp("needs")), properties={"offsets.retention.minutes": "60"})
    prepared.copy_topics_and_users(kafka.home)
    kafka.start()
    kafka.wait_ready()
    yield kafka
    kafka.kill()


@pytest.fixture(scope="module")
def admin(shop_kafka: Kafka) -> AdminClient:
    login = {"sasl.mechanism": "PLAIN", "sasl.username": "admin", "sasl.password": ADMIN_PASSWORD}
    return AdminClient({"bootstrap.servers": shop_kafka.login, "security.protocol": "SASL_PLAINTEXT", **login})


def configure(admin: AdminClient, topic: str, settings: Mapping[str, str]) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(REPLY)


def configuration(admin: AdminClient, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (future,) = admin.describe_configs([resource]).values()
    return {name: str(entry.value) for name, entry in future.result(REPLY).items()}


def about(said: str, *words: str) -> str:
    """The one line with all these words."""
    (line,) = [line for line in said.splitlines() if all(word in line for word in words)]
    return line


@pytest.fixture(scope="module")
def said(shop_kafka: Kafka, admin: AdminClient) -> str:
    """What is said where order differs in all that is mended or said, and checkout is compacted only."""
    configure(admin, "order", {name: value for name, (value, _) in MENDED.items()} | SAID)
    configure(admin, "checkout", {"cleanup.policy": "compact", "retention.ms": "1000"})
    return init_kafka(shop_kafka)


@pytest.fixture(scope="module")
def said_again(said: str, shop_kafka: Kafka, admin: AdminClient) -> str:  # noqa: ARG001
    """What is said next, when the admin has done what was said of order, and given checkout a retention."""
    configure(admin, "order", {"retention.ms": "-1", "retention.bytes": "-1", "min.insync.replicas": "1"})
    configure(admin, "checkout", {"retention.ms": str(7 * 24 * 3600 * 1000)})
    return init_kafka(shop_kafka)


def test_what_differs_is_said_and_what_removes_nothing_is_mended(admin: AdminClient, said: str) -> None:
    for name, (was, needed) in MENDED.items():
        assert f"{name} was {was} and is {needed} now" in about(said, "topic order", name)
        assert configuration(admin, "order")[name] == needed
    for name, value in SAID.items():
        line = about(said, "topic order", name, "--add-config")
        assert f"{name} is {value} and should be" in line
        assert configuration(admin, "order")[name] == value
    assert "offsets.retention.minutes is 60 and should be 10080" in about(said, "broker 1")


def test_compaction_is_not_ended_where_too_short_a_retention_would_begin_to_delete(
    admin: AdminClient, said: str
) -> None:
    assert "cleanup.policy is compact and should be delete" in about(said, "topic checkout", "cleanup.policy")
    assert configuration(admin, "checkout")["cleanup.policy"] == "compact"


def test_what_was_mended_is_as_it_should_be_the_next_time(said_again: str) -> None:
    assert "topic order:" not in said_again
    assert "cleanup.policy was compact and is delete now" in about(said_again, "topic checkout:")


def test_numbers_of_partitions_and_copies_that_differ_are_said(shop_kafka: Kafka, admin: AdminClient) -> None:
    (future,) = admin.create_partitions([NewPartitions("order", 7)]).values()
    future.result(REPLY)
    said = init_kafka(shop_kafka, PARTITIONS="6", REPLICATION="3")
    assert "checkout 6, fulfillment 6, order 7" in about(said, "different numbers of partitions")
    assert "has 7 partitions and not the 6" in about(said, "topic order", "PARTITIONS")
    for topic in ("checkout", "order", "fulfillment"):
        assert "1 of the 3 copies" in about(said, f"topic {topic}", "REPLICATION")


def test_the_auditor_may_see_how_the_topics_are_configured_and_services_may_not(shop_kafka: Kafka) -> None:
    assert configuration(AdminClient(Visitor(shop_kafka, "auditor").config), "order")["cleanup.policy"]
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        configuration(AdminClient(Visitor(shop_kafka, "order").config), "order")
