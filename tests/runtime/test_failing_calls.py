"""Any call of the client library may be the one that tells of an error: a publisher goes on after each."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from local.kafka import Kafka
from local.paths import ROOT
from shop.runtime.clock import SystemClock
from shop.runtime.errors import UserError
from shop.runtime.kafka.log import KafkaLog
from shop.runtime.kafka.member import GroupMember
from shop.runtime.limits import Limits
from shop.runtime.loop import Processor
from shop.runtime.watchdog import EXIT_HUNG
from tools.kit.failing import FAILURES, Failing
from tools.kit.real_world import RealWorld
from tools.kit.samples import submitted
from tools.kit.world import PARTITIONS, rules_of

CONSUMER = (
    "poll", "consume", "subscribe", "assign", "assignment", "pause", "resume", "committed", "consumer_group_metadata",
)  # fmt: skip
PRODUCER = (
    "init_transactions", "begin_transaction", "produce", "flush", "send_offsets_to_transaction", "commit_transaction",
)  # fmt: skip
ADMIN = ("describe_topics", "list_offsets")


@pytest.mark.claim(
    "a publisher survives an error out of any client call", section="restore", tried="broken in 3 ways"
)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_publisher_goes_on_after_an_error_out_of_any_client_call(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    # Else the second fatal error within a minute would name another process in the slot.
    monkeypatch.setattr("shop.runtime.kafka.member.FENCED_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr("shop.runtime.loop.LONGEST_PAUSE", 0.2)
    failing, world, rules, stop = Failing(), RealWorld(kafka.bootstrap), rules_of("order"), threading.Event()
    failing.patch(AdminClient, ADMIN, monkeypatch.setattr)
    log = KafkaLog(
        world.options("order", "0", rules),
        consumer=failing.client(ck.Consumer, CONSUMER),
        producer=failing.client(ck.Producer, PRODUCER),
    )
    log.open(stop=lambda: False)
    processor = Processor(log, rules, SystemClock(), Limits())
    with ThreadPoolExecutor() as pool:
        service = pool.submit(processor.run, stop.is_set)
        try:
            for number, call in enumerate((*CONSUMER, *PRODUCER, *ADMIN)):
                failing.arm(call, FAILURES[failure]())
                # What only a new client, or a restore, calls is called then, too.
                cause = "produce" if call in PRODUCER else "poll"
                if call != cause:
                    failing.arm(cause, FAILURES["a fatal error"]())
                world.publish("checkout", number % PARTITIONS, *submitted(number))

                def is_over(expected: int = 2 * (number + 1), call: str = call) -> bool:
                    accepted = processor.counts["published"] == expected
                    return service.done() or (accepted and failing.has_raised(call))

                world.until(is_over, f"the service to go on after {failure} of {call}")
                assert not service.done(), service.exception()
        finally:
            stop.set()
        service.result()
    calls = len((*CONSUMER, *PRODUCER, *ADMIN))
    assert world.statuses("order") == {"NEW": calls, "MERCHANT_ACCEPTED": calls}
    log.close()
    world.close()


def test_after_a_fatal_error_only_the_fatal_error_is_logged(kafka: Kafka) -> None:
    """Whatever else the client has said meanwhile follows from it."""

    class Fenced(ck.Consumer):
        def poll(self, timeout: float = -1) -> ck.Message | None:  # noqa: ARG002 (it fails at once)
            return broken("fatal", ck.KafkaError._FATAL, fatal=True)

        def consume(self, *_arguments: object) -> list[ck.Message]:
            return [broken("later", ck.KafkaError._ALL_BROKERS_DOWN), broken("timed out", ck.KafkaError._TIMED_OUT)]

    world = RealWorld(kafka.bootstrap)
    log = KafkaLog(world.options("order", "0", rules_of("order")), consumer=Fenced)
    processor = Processor(log, rules_of("order"), SystemClock(), Limits())
    with capture_logs() as said, pytest.raises(UserError, match="another process runs as INSTANCE=0"):
        processor.run(stop=lambda: False)
    assert [line.get("reason") for line in said] == ["the consumer failed: fatal"]
    world.close()


def broken(reason: str, code: int, *, fatal: bool = False) -> ck.Message:
    return ck.Message(topic="order", partition=0, error=ck.KafkaError(code, reason, fatal=fatal))


def test_a_client_that_was_left_behind_is_closed_without_a_word(
    kafka: Kafka, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = threading.Event()

    class Stubborn(ck.Consumer):
        def close(self) -> None:
            super().close()
            closed.set()
            raise RuntimeError("made by a test")

    world = RealWorld(kafka.bootstrap)
    member = GroupMember(world.options("order", "0", rules_of("order")), Stubborn)
    member.join()
    member.rejoin("a test")
    assert closed.wait(60)
    member.leave()
    assert capsys.readouterr().err == ""
    world.close()


@pytest.mark.claim("the watchdog ends a service of which a client call hangs", section="restore", tried="broken")
def test_a_publisher_is_ended_where_a_client_call_hangs(kafka: Kafka) -> None:
    world = RealWorld(kafka.bootstrap)
    world.publish("checkout", 0, *submitted(1))
    settings = {"KAFKA_BOOTSTRAP": kafka.bootstrap, "KAFKA_USER": "", "NAMESPACE": world.namespace, "HTTP_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hanging_service", "order"],
        cwd=ROOT,
        env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in (".", "order"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == EXIT_HUNG, done.stdout
    assert "CALL HANGS" in done.stdout
    assert "a client call hangs: ending the process" in done.stdout
    world.close()
