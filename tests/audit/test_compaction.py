"""A topic that is, or was, compacted is named as the cause, once, and what it cannot explain is still named."""

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from shop.contract.lifecycle import TOPICS, CheckoutStatus, OrderStatus
from tests.audit.stage import Stage
from tests.audit.world import COMPLETED, World
from tools.kit.shop import wait_until

FAMILIES = 60


def compact(world: World, topic: str) -> None:
    """Leaves the last message of each key, as the broker does with all but the newest segment."""
    for (name, _), log in world.log.items():
        if name == topic:
            last = {message.key: message for message in log}
            log[:] = [message for message in log if last[message.key] is message]


def busy_world(**settings: object) -> World:
    """Sixty completed orders, whose events are mixed with each other as in life."""
    world = World(**settings)  # type: ignore[arg-type]
    for at in range(len(COMPLETED) + 3):
        for number in range(FAMILIES):
            if 0 <= at - number % 3 < len(COMPLETED):
                world.live(number, COMPLETED[at - number % 3])
    world.wait(3600)
    return world


@pytest.mark.claim(
    "a compacted topic is named once, as the cause of what is missing, and what began after the compaction is judged",
    section="analytics",
    tried="not broken",
)
@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete", None])
@pytest.mark.parametrize("topic", TOPICS)
def test_a_compacted_topic_is_named_once_as_the_cause_of_what_is_missing(topic: str, policy: str | None) -> None:
    world = busy_world(policies={} if policy is None else {topic: policy})
    assert world.audit().clean or policy in {"compact", "compact,delete"}
    compact(world, topic)
    report = world.audit()
    (violation,) = report.violations()
    assert report.count == 1
    assert violation.coordinates == ("compaction", topic, None, None)
    gone = FAMILIES * sum(status.__class__.__name__.lower().startswith(topic) for status in COMPLETED) - FAMILIES
    assert f"{gone} stored messages are gone" in violation.sentence
    assert (f"cleanup.policy={policy}" in violation.sentence) == (policy in {"compact", "compact,delete"})


def test_it_is_named_too_where_the_database_has_nothing_of_what_is_gone() -> None:
    world = busy_world()
    compact(world, "order")
    world.rows = {
        topic_partition: row for topic_partition, row in world.rows.items() if topic_partition[0] != "order"
    }
    world.unstored = {("order", number): 0 for number in range(world.partitions)}
    world.settled = False
    assert {one.coordinates.rule for one in world.audit().violations()} == {"compaction"}


def test_a_topic_that_will_be_compacted_is_named_while_all_is_there() -> None:
    world = busy_world(policies={"order": "compact"})
    (violation,) = world.audit().violations()
    assert violation.sentence.startswith("it is compacted (cleanup.policy=compact)")


@pytest.mark.claim(
    "a compacted topic is named once, as the cause of what is missing, and what began after the compaction is judged",
    section="analytics",
    tried="not broken",
)
def test_what_began_after_the_compaction_is_judged() -> None:
    world = busy_world(policies={"order": "compact"})
    compact(world, "order")
    for number in range(FAMILIES, FAMILIES + 3):
        world.live(number, *COMPLETED)
    twice = world.live(FAMILIES + 3, *COMPLETED, OrderStatus.COMPLETED)[-1]
    unknown = world.live(FAMILIES + 4, CheckoutStatus.CREATED, *COMPLETED)[1]
    broken = world.broken()
    assert broken == {"compaction": [("order", None, None)], "once": [unknown, twice]}


def test_a_row_without_a_message_is_no_sign_of_compaction() -> None:
    world = busy_world()
    topic_partition = ("order", 0, world.log["order", 0][2].offset)
    world.log["order", 0] = [one for one in world.log["order", 0] if one.offset != topic_partition[2]]
    assert "compaction" not in world.broken()
    assert topic_partition in world.broken()["stored"]


def test_foreign_events_without_those_before_them_are_no_sign_of_compaction() -> None:
    world = World()
    for number in range(5):
        world.live(number, OrderStatus.COMPLETED, partition=0)
    assert "compaction" not in world.broken()
    assert len(world.broken()["legal"]) == 5


def test_a_row_with_a_time_of_its_own_is_not_excused_behind_the_remains() -> None:
    world = busy_world(policies={"order": "compact"})
    topic_partition = ("order", 0, world.log["order", 0][-2].offset)
    world.rows[topic_partition] = world.rows[topic_partition]._replace(time=1)
    assert topic_partition in world.broken()["fields"]


def test_the_auditor_names_a_topic_that_the_broker_has_compacted_also_when_it_is_compacted_no_more(
    stage: Stage,
) -> None:
    for number in range(0, 60, 3):
        stage.live(number, *COMPLETED)
    stage.store()
    assert stage.audit(settled=True).clean
    topic = ConfigResource(ConfigResource.Type.TOPIC, f"{stage.settings.namespace}order")
    everything = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.ms": "100"}
    configure(stage, topic, **everything)
    for broker in stage.admin.list_topics(timeout=10).brokers:
        configure(stage, ConfigResource(ConfigResource.Type.BROKER, str(broker)), **{"log.cleaner.backoff.ms": "100"})
    # The segment that is written is not compacted: another message ends it.
    stage.live(60, *COMPLETED)
    stage.append("order", 0, b"last", b"no event")
    stage.store()
    wait_until(lambda: stage.audit().messages < 21 * len(COMPLETED), "the compaction", 90)
    report = stage.audit()
    assert {one.coordinates[:2] for one in report.violations()} == {("compaction", "order")}, str(report)
    assert "cleanup.policy=compact" in str(report)
    configure(stage, topic, **{"cleanup.policy": "delete"})
    wait_until(lambda: "cleanup.policy=compact" not in str(stage.audit()), "the new policy")
    report = stage.audit()
    assert {one.coordinates[:2] for one in report.violations()} == {("compaction", "order")}, str(report)
    assert "it was compacted" in str(report)


def configure(stage: Stage, resource: ConfigResource, **settings: str) -> None:
    """Changes these settings of a topic or of all brokers."""
    for name, value in settings.items():
        resource.add_incremental_config(ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET))
    for future in stage.admin.incremental_alter_configs([resource]).values():
        future.result(10)
    resource.incremental_configs.clear()
