"""What somebody else publishes on our topics. The topic is opened for it: anybody may write, and our own service may
still, unlike with OPEN_TOPICS of init-kafka.sh, which takes the owner's right."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import confluent_kafka as ck
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from chaos.faults.fault import Fault
from chaos.injections import HEADER, Coordinates, Injection, event_of
from chaos.record import Sample, silent
from chaos.stage import PARTITIONS, REPLY, Stage, wait_until

TRANSACTIONAL_ID = "chaos"
LARGEST = 1_048_588 - 500  # bytes: message.max.bytes, less what a batch and a header take
NEWEST, OLDEST = 3.0, 60.0
"""Seconds: how old a message is that is published again. Duplicates are known for two minutes of this load."""
HANGS_SECONDS = 12


@dataclass(frozen=True)
class Message:
    value: bytes | None
    key: bytes | None
    partition: int
    injection: Injection


def _broken(make: Callable[[bytes], bytes | None]) -> "Maker":
    """A message that is no event, made from one that is."""

    def made(stage: Stage, topic: str, what: str, _random: Random) -> Message:
        sample = _sample(stage, topic, FIRST[topic])
        return Message(make(sample.value), sample.key, sample.partition, Injection(what, topic))

    return made


def _opened(change: Callable[[bytes, Random], bytes], *, wrong_key: bool = False) -> "Maker":
    """The first event of a checkout that nobody knows, which the checkout service goes on with."""

    def made(stage: Stage, topic: str, what: str, random: Random) -> Message:
        sample = _sample(stage, topic, FIRST[topic])
        name = str(UUID(int=random.getrandbits(128), version=4))
        now = _time(0)
        value = change(event_of(sample.value, checkout_id=name, created_at=now, updated_at=now), random)
        key = sample.key if wrong_key else name.encode()
        rule = "key" if wrong_key else None
        return Message(value, key, sample.partition, Injection(what, topic, row=True, lives=True, rule=rule))

    return made


def _again(stage: Stage, topic: str, what: str, random: Random) -> Message:
    sample = _sample(stage, topic, random.choice(STATUSES[topic]))
    rule = _applied("once", stage, topic, sample.value)
    return Message(sample.value, sample.key, sample.partition, Injection(what, topic, row=True, rule=rule))


def _illegal(stage: Stage, topic: str, what: str, random: Random) -> Message:
    before, after = random.choice([("COMPLETED", "DISPUTED"), ("CANCELLED", "SHIPPED")])
    sample = _sample(stage, topic, before)
    value = event_of(sample.value, status=after, updated_at=_time(0))
    rule = _applied("legal", stage, topic, value)
    return Message(value, sample.key, sample.partition, Injection(what, topic, row=True, rule=rule))


def _applied(rule: str, stage: Stage, topic: str, value: bytes) -> str | None:
    """The rule, which nobody applies to a life that began before a topic was recreated."""
    return rule if stage.record.chains.remembers(topic, json.loads(value)[f"{topic}_id"]) else None


def _future(value: bytes, random: Random) -> bytes:
    then = _time(random.choice([3600, 86_400 * 365]))
    return event_of(value, created_at=then, updated_at=then)


Maker = Callable[[Stage, str, str, Random], Message]
FIRST = {"checkout": "created", "order": "NEW", "fulfillment": "SHIPPED"}
STATUSES = {
    "checkout": ("created", "AddressSubmitted", "PaymentMethodSubmitted", "CheckoutSubmitted"),
    "order": ("NEW", "MERCHANT_ACCEPTED", "SHIPPED", "COMPLETED"),
    "fulfillment": ("SHIPPED", "DELIVERED"),
}
ANY = tuple(FIRST)
WRONGS: Mapping[str, tuple[tuple[str, ...], Maker]] = {
    "malformed": (ANY, _broken(lambda value: value[:-1])),
    "as large as the broker takes": (ANY, _broken(lambda value: value[:-1] + b" " * (LARGEST - len(value)))),
    "null": (ANY, _broken(lambda _: None)),
    "with an unknown field": (ANY, _broken(lambda value: event_of(value, colour="blue"))),
    "not UTF-8": (ANY, _broken(lambda value: value.replace(b'"20', b'"\xff0', 1))),
    "10,000 deep": (ANY, _broken(lambda _: b"[" * 10_000 + b"]" * 10_000)),
    "with NaN": (("checkout", "order"), _broken(lambda value: event_of(value, total_amount=float("nan")))),
    "with 1e400": (("checkout", "order"), _broken(lambda value: _with_number(value, "1e400"))),
    "with a key twice": (("checkout",), _opened(lambda value, _: b'{"currency":"XXX",' + value[1:])),
    "under a wrong key": (("checkout",), _opened(lambda value, _: value, wrong_key=True)),
    "of the future": (("checkout",), _opened(_future)),
    "published again": (ANY, _again),
    "off the legal path": (("order",), _illegal),
}
"""Each kind of wrong message, the topics that it may lie in, and how it is made."""


@dataclass(frozen=True)
class Publish(Fault):
    """A wrong message from somebody who has not logged in. The right to write is taken back afterwards; the message
    stays, and nobody may stop for it."""

    what: str
    topic: str
    salt: int

    def __str__(self) -> str:
        return f"{self.topic} message {self.what}"

    def strike(self, stage: Stage) -> None:
        message = WRONGS[self.what][1](stage, self.topic, str(self), Random(self.salt))
        with _writer(stage, self.topic) as producer:
            number = stage.injections.plan(message.injection)
            _produce(stage, producer, number, message)


@dataclass(frozen=True)
class PublishTooLarge(Fault):
    """A message beyond what the broker takes: it is refused, and nobody sees it."""

    topic: str

    def __str__(self) -> str:
        return f"{self.topic} message larger than the broker takes"

    def strike(self, stage: Stage) -> None:
        number = stage.injections.plan(Injection(str(self), self.topic, visible=False))
        with _writer(stage, self.topic) as producer:
            refusals: list[ck.KafkaError | None] = []
            producer.produce(
                self.topic,
                b"x" * 2_000_000,
                headers=_header(number),
                on_delivery=lambda error, _: refusals.append(error),
            )
            producer.flush(REPLY)
        if [error and error.code() for error in refusals] not in ([], [ck.KafkaError.MSG_SIZE_TOO_LARGE]):
            stage.say(f"the broker answers to a message that is too large: {refusals}")


@dataclass(frozen=True)
class HangingTransaction(Fault):
    """Somebody opens a transaction, writes to every partition of a topic, and is never heard of again. The broker
    ends it after its time-out; until then nobody reads what lies behind it."""

    topic: str

    def __str__(self) -> str:
        return f"a transaction on {self.topic} hangs for {HANGS_SECONDS} s"

    @property
    def lasts(self) -> float:
        return HANGS_SECONDS + 1.0

    def strike(self, stage: Stage) -> None:
        settings = {"transactional.id": TRANSACTIONAL_ID, "transaction.timeout.ms": HANGS_SECONDS * 1000}
        number = stage.injections.plan(Injection(str(self), self.topic, visible=False))
        with _writer(stage, self.topic, **settings) as producer:
            producer.init_transactions(REPLY)
            producer.begin_transaction()
            for partition in range(PARTITIONS):
                producer.produce(self.topic, b"never committed", partition=partition, headers=_header(number))
            producer.flush(REPLY)


@dataclass(frozen=True)
class Recreate(Fault):
    """A topic is deleted and recreated, empty. What began before is judged no more, by the auditor neither."""

    topic: str

    def __str__(self) -> str:
        return f"topic {self.topic} deleted and recreated"

    def strike(self, stage: Stage) -> None:
        stage.record.leave(self.topic)
        admin = stage.admin()
        config = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(7 * 86_400_000)}
        admin.delete_topics([self.topic])[self.topic].result(REPLY)

        def made() -> bool:
            wanted = ck.admin.NewTopic(self.topic, PARTITIONS, config=config)  # type: ignore[attr-defined]
            # The broker needs a moment to forget the old one.
            return admin.create_topics([wanted])[self.topic].exception(REPLY) is None

        if not wait_until(made, REPLY):
            raise RuntimeError(f"topic {self.topic} cannot be recreated")
        stage.record.recreate(self.topic)


def _sample(stage: Stage, topic: str, status: str) -> Sample:
    """A message of the services that is old enough to be known, and not too old."""

    def some() -> list[Sample]:
        now = time.time()
        return [one for one in stage.record.samples(topic, status, now - OLDEST) if one.at < now - NEWEST]

    if not wait_until(some, OLDEST):
        raise RuntimeError(f"there is no {topic} {status} to start from")
    return some()[0]


@contextmanager
def _writer(stage: Stage, topic: str, **settings: object) -> Iterator[ck.Producer]:
    """A producer without a login, and the right to write for anybody as long as it is used."""
    opened = [
        (kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", AclOperation.WRITE, AclPermissionType.ALLOW)
        for kind, name in ((ResourceType.TOPIC, topic), (ResourceType.TRANSACTIONAL_ID, TRANSACTIONAL_ID))
    ]
    admin = stage.admin()
    for answer in admin.create_acls([AclBinding(*right) for right in opened]).values():
        answer.result(REPLY)
    try:
        yield ck.Producer(
            {
                "bootstrap.servers": stage.kafka.bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": int(REPLY * 500),
                # The broker is to judge.
                "message.max.bytes": 4_000_000,
                "logger": silent,
                **settings,
            }
        )
    finally:
        for removed in admin.delete_acls([AclBindingFilter(*right) for right in opened]).values():
            removed.result(REPLY)


def _produce(stage: Stage, producer: ck.Producer, number: int, message: Message) -> None:
    def delivered(error: ck.KafkaError | None, taken: ck.Message) -> None:
        if error is None:
            at = Coordinates(str(taken.topic()), int(taken.partition()), int(taken.offset()))  # type: ignore[arg-type]
            stage.injections.acknowledge(number, at)
        else:
            stage.say(f"not taken: {message.injection.what} ({error.str()})")

    producer.produce(
        message.injection.topic,
        message.value,
        message.key,
        message.partition,
        on_delivery=delivered,
        headers=_header(number),
    )
    producer.flush(REPLY)


def _header(number: int) -> list[tuple[str, str | bytes | None]]:
    return [(HEADER, str(number).encode())]


def _with_number(value: bytes, number: str) -> bytes:
    event: dict[str, Any] = json.loads(value) | {"total_amount": "NUMBER"}
    return json.dumps(event).replace('"NUMBER"', number).encode()


def _time(ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=ahead)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
