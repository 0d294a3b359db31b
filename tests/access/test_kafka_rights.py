"""Who may do what at the broker: each cell of the table is tried on a real one."""

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from local.kafka import Kafka
from shop.contract.lifecycle import TOPICS
from tests.access.visitor import ANONYMOUS, REPLY, Visitor

# r = read, w = write, - = refused
TOPIC_RIGHTS = """
              checkout  order  fulfillment
checkout      rw        --     --
order         r-        rw     r-
fulfillment   --        r-     rw
analytics     r-        r-     r-
auditor       r-        r-     r-
ANONYMOUS     r-        r-     r-
"""
# g = may join the group, t = may use a transactional id of the service
SLOT_RIGHTS = """
              checkout  order  fulfillment  analytics  somebody
checkout      gt        --     --           --         --
order         --        gt     --           --         --
fulfillment   --        --     gt           --         --
analytics     --        --     --           g-         --
auditor       --        --     --           --         --
ANONYMOUS     --        --     --           --         g-
"""


def cells(table: str) -> list[tuple[str, str, str]]:
    """Row, column and content of each cell."""
    head, *rows = (line.split() for line in table.strip().splitlines())
    return [(row[0], column, cell) for row in rows for column, cell in zip(head, row[1:], strict=True)]


@pytest.mark.parametrize(("user", "topic", "rights"), cells(TOPIC_RIGHTS))
def test_a_topic_is_written_by_its_owner_and_read_by_whoever_needs_it(
    guarded: Kafka, user: str, topic: str, rights: str
) -> None:
    visitor = Visitor(guarded, user)
    seen = ("r" if visitor.reads(topic) else "-") + ("w" if visitor.writes(topic) else "-")
    assert seen == rights


@pytest.mark.claim("groups and transactional ids of a service are its own", section="access", tried="not broken")
@pytest.mark.parametrize(("user", "service", "rights"), cells(SLOT_RIGHTS))
def test_groups_and_transactional_ids_of_a_service_are_its_own(
    guarded: Kafka, user: str, service: str, rights: str
) -> None:
    visitor = Visitor(guarded, user)
    group, transactional_id = visitor.joins(service), visitor.uses_transactional_id(f"{service}-9")
    assert ("g" if group else "-") + ("t" if transactional_id else "-") == rights


@pytest.mark.claim(
    "only the owner may write to a topic: an order published by the user checkout is refused, and nothing of it is "
    "visible",
    section="access",
    tried="not broken",
)
def test_an_order_published_by_the_checkout_user_is_refused_and_nothing_of_it_is_visible(guarded: Kafka) -> None:
    before = written(guarded, "order")
    producer = ck.Producer(
        Visitor(guarded, "checkout").config | {"transactional.id": "checkout-7", "transaction.timeout.ms": 10_000}
    )
    producer.init_transactions(REPLY)
    producer.begin_transaction()
    answers: list[ck.KafkaError | None] = []
    producer.produce("order", b"an order", b"key", 0, on_delivery=lambda error, _: answers.append(error))
    with pytest.raises(ck.KafkaException):
        producer.commit_transaction(REPLY)
    assert [error and error.code() for error in answers] == [ck.KafkaError.TOPIC_AUTHORIZATION_FAILED]
    assert written(guarded, "order") == before


@pytest.mark.parametrize("user", ["checkout", "analytics", "auditor", ANONYMOUS])
def test_nobody_but_the_admin_makes_or_deletes_a_topic(guarded: Kafka, user: str) -> None:
    admin = AdminClient(Visitor(guarded, user).config)
    for future in admin.delete_topics(list(TOPICS), request_timeout=REPLY).values():
        with pytest.raises(ck.KafkaException, match="authoriz"):
            future.result(REPLY)


def test_the_listeners_of_the_broker_itself_let_no_client_in(guarded: Kafka) -> None:
    for port in {guarded.ports[1], guarded.ports[3]}:
        for user in ("checkout", ANONYMOUS):
            client = AdminClient(Visitor(guarded, user).config | {"bootstrap.servers": f"[::1]:{port}"})
            with pytest.raises(ck.KafkaException):
                client.list_topics(timeout=1)


def written(kafka: Kafka, topic: str) -> int:
    """Offsets that the topic's first partition holds, committed or not."""
    asked = {ck.TopicPartition(topic, 0): OffsetSpec.latest()}  # type: ignore[no-untyped-call]
    admin = AdminClient(Visitor(kafka, ANONYMOUS).config)
    answers = admin.list_offsets(asked, isolation_level=ck.IsolationLevel.READ_UNCOMMITTED, request_timeout=REPLY)
    (future,) = answers.values()
    return int(future.result(REPLY).offset)
