"""What makes the loss of a broker, or of a member of the group, a matter of seconds."""

import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from shop.runtime.errors import Unavailable

REPLY_SECONDS = 10.0
LEAVE_SECONDS = 0.5
JOIN_SECONDS = 30.0
"""Within which a member is back in its group and has all that it needs, for sure: who is gone is missed sooner."""
SPREAD_SECONDS = 2.0
"""A topic that was made just now may be unknown to some brokers for a moment: it is missing after so long."""

FAILOVER: Mapping[str, Any] = {
    # Who leads a partition, in place of a broker that is gone, is learnt from the next metadata.
    "topic.metadata.refresh.interval.ms": 1000,
    "reconnect.backoff.max.ms": 2000,
    # With connections made on demand an admin client whose controller is gone connects again without a pause (seen:
    # 20,000 times a second), and is too busy with that to hear who the next one is.
    "enable.sparse.connections": False,
}
"""The configuration shared by all clients."""


def keep_informed(admin: AdminClient, topic: str, address: str) -> None:
    """Lets an admin client hear every second which brokers there are. One that has never asked for a topic hears of
    them every 10 s, and may ask a controller that is gone until then. Blocks for ``REPLY_SECONDS`` at most; raises
    Unavailable."""
    try:
        admin.list_topics(topic, REPLY_SECONDS)
    except ck.KafkaException as failure:
        raise Unavailable(f"Kafka at {address}: topics: {failure.args[0].str()}") from None


def checked_offset(offset: int) -> int:
    """An offset that the broker has told. Raises Unavailable for one below 0: that is librdkafka's own, which it
    gives as an answer without an error where the leader of the partition goes while it asks."""
    if offset < 0:
        raise Unavailable(f"the leader of a partition went while it was asked for an offset ({offset})")
    return offset


def is_whole(given: Iterable[ck.TopicPartition], topics: Iterable[str]) -> bool:
    """Whether a member was given the same partitions of each of its topics. A static one that comes back is given
    what it had before (KIP-345), which may be from when a topic was missing, and nobody would give it the rest."""
    topic_partitions = {(one.topic, one.partition) for one in given}
    return topic_partitions == {(topic, number) for topic in topics for _, number in topic_partitions}


def recreated(known: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a topic has another id than a client knows. Only a new client reads or writes it. Seen: the epochs of
    its leaders begin anew, and librdkafka takes them for old news. The client has to leave the group first: else the
    next one is given what this one had, perhaps while a topic was missing."""
    return any(known.get(topic, its) != its for topic, its in now.items())


def leave(consumer: ck.Consumer) -> None:
    """Gives a member's partitions to the others at once. ``close`` does not where the member is static: they would
    stand still until its session ends. Blocks for ``LEAVE_SECONDS`` at most, also while the broker is away."""
    deadline = time.monotonic() + LEAVE_SECONDS
    try:
        consumer.unsubscribe()
        while consumer.memberid() and time.monotonic() < deadline:
            consumer.poll(0.02)
    except (ck.KafkaException, RuntimeError, AttributeError, SystemError):
        return  # it was fenced: the slot is another's by now


def leave_behind(consumer: ck.Consumer) -> None:
    """Ends a consumer that does not answer any more, in a thread of its own: that may take for ever.

    After a broker's restart librdkafka may have forgotten every broker, and where the coordinator is, for good
    (confluentinc/librdkafka#5301 and #5511; seen: no offset was told for minutes). Only a new consumer helps, which
    takes the slot over from this one.
    """

    def close() -> None:
        # What it says of its end is of no interest: the error that led here was said.
        with suppress(Exception):
            consumer.close()

    threading.Thread(target=close, name="consumer that was left behind", daemon=True).start()
