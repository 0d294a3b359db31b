"""What the real log promises beyond the behaviour of the services on it."""

import contextlib
import gc
import os
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo  # type: ignore[attr-defined]

from local.kafka import Kafka
from shop.runtime.clock import SystemClock
from shop.runtime.errors import TransactionFailed, Unavailable
from shop.runtime.kafka.admin import Admin
from shop.runtime.kafka.log import KafkaLog
from shop.runtime.kafka.options import SESSION_SECONDS
from shop.runtime.limits import Limits
from shop.runtime.log import Committed, Offsets, Outgoing, TopicPartition
from shop.runtime.loop import Processor
from tools.kit.real_world import REPLY, RealWorld
from tools.kit.world import PARTITIONS, rules_of

PLACE = TopicPartition("checkout", 0)
LONG_ENOUGH = 1.0
"""Seconds in which a question that does not wait would be answered many times over."""


@pytest.mark.claim(
    "a partition that was paused is read again after the next start", section="restore", tried="not broken"
)
def test_a_partition_that_was_paused_is_read_again_after_the_next_start(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    world.publish(*PLACE, b"key", b"value")
    log = KafkaLog(world.options("order", "0", rules_of("order")))
    log.open(stop=lambda: False)
    world.until(lambda: bool(log.poll(1, 0.1).reassigned), "the assignment")
    for _ in range(2):
        log.start({PLACE: 0})
        world.until(lambda: len(log.poll(1, 0.1).records) == 1, "the message")
        log.pause([PLACE])
    log.close()
    world.close()


@pytest.mark.claim(
    "when a member ends, the others get its partitions at once", section="failures", tried="not broken"
)
def test_the_partitions_of_a_member_that_leaves_are_the_others_at_once(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    first, second = (KafkaLog(world.options("order", slot, rules_of("order"))) for slot in "01")
    for log in (first, second):
        log.open(stop=lambda: False)

    def assigned(log: KafkaLog) -> int:
        for one in (first, second):
            one.poll(1, 0.02)
        return len(log.assignment())

    every = 3 * PARTITIONS
    world.until(lambda: 0 < assigned(first) < every and 0 < assigned(second) < every, "both to have some")
    first.close()
    left = time.monotonic()
    while len(second.assignment()) < every:
        second.poll(1, 0.02)
        assert time.monotonic() - left < SESSION_SECONDS / 2
    second.close()
    world.close()


@pytest.mark.claim(
    "committed offsets are stable: they are not returned before a transaction that changes them has ended",
    section="restore",
    tried="not broken",
)
def test_committed_offsets_are_not_told_before_the_transaction_that_changes_them_has_ended(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    consumers: list[ck.Consumer] = []

    def consumer(config: dict[str, Any]) -> ck.Consumer:
        consumers.append(ck.Consumer(config))
        return consumers[-1]

    options = world.options("order", "0", rules_of("order"))
    log = KafkaLog(options, consumer=consumer)
    log.open(stop=lambda: False)
    world.until(lambda: bool(log.poll(1, 0.1).reassigned), "the assignment")
    theirs = world.namespace + PLACE.topic
    consumers[0].commit(offsets=[ck.TopicPartition(theirs, 0, 2)], asynchronous=False)
    assert log.committed([PLACE]) == {PLACE: Committed(2, "")}
    predecessor = ck.Producer(options.producer() | {"transactional.id": f"{world.namespace}predecessor"})
    predecessor.init_transactions(REPLY)
    predecessor.begin_transaction()
    offsets = [ck.TopicPartition(theirs, 0, 5)]
    predecessor.send_offsets_to_transaction(offsets, consumers[0].consumer_group_metadata(), REPLY)
    with ThreadPoolExecutor() as pool:
        answer: Future[Any] = pool.submit(log.committed, [PLACE])
        wait([answer], LONG_ENOUGH)
        assert not answer.done()
        predecessor.commit_transaction(REPLY)
        assert answer.result(2 * REPLY) == {PLACE: Committed(5, "")}
    log.close()
    world.close()


@pytest.mark.claim(
    "a transaction fails when its partitions were reassigned before its records reached the broker",
    section="transactions",
    tried="found group metadata that was read too late",
)
def test_a_transaction_fails_whose_partitions_were_given_away_before_its_records_were_at_the_broker(
    kafka: Kafka,
) -> None:
    world = RealWorld(kafka.bootstrap)
    given_away = threading.Event()

    class SlowProducer(ck.Producer):
        def flush(self, timeout: float = -1) -> int:
            given_away.wait(timeout)
            return super().flush(timeout)

    rules = rules_of("order")
    first = KafkaLog(world.options("order", "0", rules), producer=SlowProducer)
    second = KafkaLog(world.options("order", "1", rules))
    first.open(stop=lambda: False)
    world.until(lambda: bool(first.poll(1, 0.1).reassigned), "the first assignment")
    first.init_transactions()
    held = first.assignment()
    transact(first, [Outgoing(0, "key", b"value")], dict.fromkeys(held, Committed(0, "")))
    second.open(stop=lambda: False)

    def shared() -> bool:
        for log in (first, second):
            log.poll(1, 0.1)
        return bool(first.assignment() and second.assignment()) and first.assignment() != held

    world.until(shared, "an assignment for each")
    given_away.set()
    with pytest.raises(TransactionFailed):
        first.await_commit()
    first.init_transactions()
    assert world.records("order") == []
    first.close()
    second.close()
    world.close()


def transact(log: KafkaLog, messages: list[Outgoing], offsets: Offsets) -> None:
    log.begin()
    for message in messages:
        log.publish(message)
    log.commit(offsets)


def end_connections(port: int) -> None:
    """Ends every connection of this process to that port, as a network does that fails for a moment."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.readlink().name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as end:
                    if end.family is socket.AF_INET6 and end.getpeername()[1] == port:
                        end.shutdown(socket.SHUT_RDWR)


@pytest.mark.claim("a transaction outlives the connections it began on", section="transactions", tried="broken")
def test_a_transaction_outlives_the_connections_it_began_on(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    log = KafkaLog(world.options("order", "0", rules_of("order")))
    log.open(stop=lambda: False)
    world.until(lambda: bool(log.poll(1, 0.1).reassigned), "the assignment")
    log.init_transactions()

    def survive(offset: int) -> None:
        stored = dict.fromkeys(log.assignment(), Committed(offset, ""))
        transact(log, [Outgoing(number, "key", b"value") for number in range(PARTITIONS)], stored)
        end_connections(kafka.port)
        done = log.await_commit()
        assert done is not None
        assert done.offsets == stored

    for offset in range(3):
        survive(offset)
    log.close()
    world.close()


class Clients:
    """Makes consumers, the first of which is of another kind."""

    def __init__(self, first: type[ck.Consumer]) -> None:
        self.made: list[ck.Consumer] = []
        self._first = first

    def __call__(self, config: dict[str, Any]) -> ck.Consumer:
        kind = ck.Consumer if self.made else self._first
        self.made.append(kind(config))
        return self.made[-1]


class WithoutCoordinator(ck.Consumer):
    """As librdkafka is when it has forgotten its brokers: a member of its group that is told no offsets."""

    def committed(self, *_arguments: Any, **_options: Any) -> list[ck.TopicPartition]:
        raise ck.KafkaException(ck.KafkaError(ck.KafkaError._TIMED_OUT, "Failed to get committed offsets"))


class NeverJoining(ck.Consumer):
    """As librdkafka is when it never finds the coordinator: it polls, and is given nothing."""

    def subscribe(self, *_arguments: Any, **_options: Any) -> None:
        pass


class HalfJoining(ck.Consumer):
    """As a static member is that comes back and is given what it had when a topic was missing."""

    def subscribe(self, topics: list[str], **options: Any) -> None:  # type: ignore[override]
        super().subscribe(topics[1:], **options)


@pytest.mark.claim(
    "a consumer that never gets an answer, or never all of it, is replaced",
    section="failures",
    tried="broken in 3 ways",
)
@pytest.mark.parametrize("first", [WithoutCoordinator, NeverJoining, HalfJoining])
def test_a_consumer_that_gets_no_answer_or_not_all_for_good_is_left_behind_and_another_one_goes_on(
    kafka: Kafka, first: type[ck.Consumer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.runtime.kafka.member.JOIN_SECONDS", 3.0)
    world = RealWorld(kafka.bootstrap)
    clients = Clients(first)
    rules = rules_of("order")
    log = KafkaLog(world.options("order", "0", rules), consumer=clients)
    log.open(stop=lambda: False)
    processor = Processor(log, rules, SystemClock(), Limits())

    def live() -> bool:
        processor.step()
        return processor.live

    world.until(live, "the service to be at work")
    assert [type(one) for one in clients.made] == [first, ck.Consumer]
    log.close()
    world.close()


@pytest.mark.claim("a producer that gets no answer is replaced", section="transactions", tried="broken")
def test_a_producer_that_gets_no_answer_is_replaced(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    made: list[ck.Producer] = []

    class Forgetful(ck.Producer):
        """As librdkafka is when it has forgotten its brokers: it says that it may be asked again, in vain."""

        def init_transactions(self, *_arguments: Any) -> None:
            raise ck.KafkaException(ck.KafkaError(ck.KafkaError._TIMED_OUT, "retry call to resume", retriable=True))

    def producer(config: dict[str, Any]) -> ck.Producer:
        made.append((ck.Producer if made else Forgetful)(config))
        return made[-1]

    log = KafkaLog(world.options("order", "0", rules_of("order")), producer=producer)
    log.open(stop=lambda: False)
    with pytest.raises(Unavailable, match="retry call to resume"):
        log.init_transactions()
    log.init_transactions()
    assert [type(one) for one in made] == [Forgetful, ck.Producer]
    log.close()
    world.close()


@pytest.mark.claim(
    "when stable offsets do not come, a hanging transaction of the slot is aborted",
    section="transactions",
    tried="found by `make chaos`",
)
def test_what_hangs_of_the_slot_is_aborted_when_stable_offsets_are_not_told(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shop.runtime.kafka.log.PENDING_SECONDS", 3.0)
    world = RealWorld(kafka.bootstrap)
    own, unstable, calls = TopicPartition("order", 0), threading.Event(), list[str]()

    class Unstable(ck.Consumer):
        """Is told no stable offsets while some are pending, as it is for ever where their transaction is over."""

        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__(config)
            self._stable = config["isolation.level"] == "read_committed"

        def committed(self, *arguments: Any, **options: Any) -> list[ck.TopicPartition]:
            if self._stable and unstable.is_set():
                time.sleep(options["timeout"])
                raise ck.KafkaException(ck.KafkaError(ck.KafkaError._TIMED_OUT))
            return super().committed(*arguments, **options)

    class Watched(ck.Producer):
        def send_offsets_to_transaction(self, *arguments: Any) -> None:
            super().send_offsets_to_transaction(*arguments)
            calls.append("offsets")

        def abort_transaction(self, *arguments: Any) -> None:
            super().abort_transaction(*arguments)
            calls.append("aborted")

    log = KafkaLog(world.options("order", "0", rules_of("order")), consumer=Unstable, producer=Watched)
    log.open(stop=lambda: False)
    world.until(lambda: bool(log.poll(1, 0.1).reassigned), "the assignment")
    log.init_transactions()
    transact(log, [], {own: Committed(7, "it")})
    assert log.await_commit() is not None
    log.init_transactions()
    assert calls == ["offsets"], "nobody aborts while all is well"
    end = log.high_watermarks([own])[own]
    unstable.set()
    with pytest.raises(Unavailable):
        log.committed([own])
    world.until(lambda: bool(log.poll(1, 0.1).reassigned and log.assignment()), "the next assignment")
    log.init_transactions()
    assert calls == ["offsets", "offsets", "aborted"]
    assert log.high_watermarks([own])[own] > end, "its end is in the output partition, too"
    unstable.clear()
    assert log.committed([own]) == {own: Committed(7, "it")}
    transact(log, [Outgoing(0, "key", b"value")], {own: Committed(8, "it")})
    assert log.await_commit() is not None
    assert [record.value for record in world.records("order")] == [b"value"]
    log.close()
    world.close()


def test_questions_about_topics_leave_nothing_behind(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    options = world.options("order", "0", rules_of("order"))
    admin = Admin(options)
    ids = {topic: state.topic_id for topic, state in admin.topics().items()}
    before = ids_in_memory()
    for _ in range(20):
        assert {topic: state.topic_id for topic, state in admin.topics().items()} == ids
        assert len(admin.partitions()) == 3 * PARTITIONS
    assert ids_in_memory() < before + 20
    world.recreate("order")
    assert admin.topics()["order"].topic_id != ids["order"]


def ids_in_memory() -> int:
    gc.collect()
    return sum(type(one).__name__ == "Uuid" for one in gc.get_objects())


@pytest.mark.claim(
    "an offset that the client made up because the leader was lost is refused (as a restore target it would be "
    "reached at once)",
    section="restore",
    tried="found by killing one of three brokers",
)
def test_an_offset_that_the_client_made_up_because_the_leader_went_is_no_answer(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = RealWorld(kafka.bootstrap)
    log = KafkaLog(world.options("order", "0", rules_of("order")))
    answer = ListOffsetsResultInfo(ck.OFFSET_INVALID, -1, -1)
    monkeypatch.setattr(AdminClient, "list_offsets", lambda _, asked, **_options: dict.fromkeys(asked, given(answer)))
    for ask in (log.high_watermarks, log.beginnings):
        with pytest.raises(Unavailable):
            ask([PLACE])
    world.close()


def given(answer: object) -> "Future[object]":
    future: Future[object] = Future()
    future.set_result(answer)
    return future
