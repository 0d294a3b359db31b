"""A member of a consumer group: how it joins, what it survives, and when it gives up."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import confluent_kafka as ck
import structlog

from shop.runtime.errors import Unavailable, UserError
from shop.runtime.kafka.failover import JOIN_SECONDS, is_whole, leave, leave_behind, recreated
from shop.runtime.kafka.options import MASKED, KafkaOptions
from shop.runtime.log import Committed, TopicPartition

FENCED_AGAIN_SECONDS = 60.0
"""A slot that is taken from an instance twice within this time has another process in it."""
WARN_SECONDS = 10.0
"""Of the errors of a client that end by themselves one is logged in this time, at most."""

AGAIN_SECONDS = 0.1

Answer = TypeVar("Answer")

log = structlog.get_logger()


class GroupMember:
    """A static member of the group, which is given its partitions and says itself from where each is read.

    Any call may raise Unavailable: what was read and not used yet is to be forgotten then, and a client that is of no
    more use is replaced by the next call. It raises UserError where another process runs in this slot. ``client`` is
    the consumer's class: a test may pass its own.
    """

    def __init__(self, options: KafkaOptions, client: Callable[[dict[str, Any]], ck.Consumer] = ck.Consumer) -> None:
        self._options = options
        self._client_of = client
        self._client: ck.Consumer | None = None
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._reassigned = False
        self._joining_since: float | None = None
        self._fenced_at = float("-inf")
        self._warned_at = float("-inf")
        self._topic_ids: dict[str, str] = {}
        """The topics that the client knows."""

    # ---- membership ----------------------------------------------------------------------------------------

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """What the group has given to this member."""
        return self._assignment

    def was_reassigned(self) -> bool:
        """Whether the group gave or took partitions since this was asked last: nothing that was read meanwhile may be
        used."""
        reassigned, self._reassigned = self._reassigned, False
        return reassigned

    def join(self) -> None:
        """Joins the group, where this is no member yet; the partitions come with a later ``receive``."""
        self._asked(lambda _: None)

    def leave(self) -> None:
        """Leaves the group, without waiting for a broker that is away: others have the partitions at once."""
        if self._client is not None:
            leave(self._client)

    def rejoin(self, reason: str) -> None:
        """Leaves a client behind that is of no more use; the next call makes another one."""
        log.warning("rejoining the group", reason=reason, instance=self._options.instance)
        self._leave_behind()

    def expect(self, topic_ids: Mapping[str, str]) -> bool:
        """Rejoins, with a new client, where a topic is another one than the client knows; whether it did."""
        is_new = recreated(self._topic_ids, topic_ids)
        if is_new:
            self.leave()
            self.rejoin("a topic was recreated")
        self._topic_ids |= topic_ids
        return is_new

    def _leave_behind(self) -> None:
        if self._client is not None:
            leave_behind(self._client)
        self._client, self._assignment, self._reassigned = None, frozenset(), True

    def _member(self) -> ck.Consumer:
        """The client; a new one, which joins the group, where there is none."""
        if self._client is None:
            client = self._client_of(self._options.consumer())
            self._joining_since = time.monotonic()
            client.subscribe(
                self._options.broker_topics,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
            self._client = client
        return self._client

    def _on_assign(self, client: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        self._assignment = frozenset(map(self._options.topic_partition, partitions))
        self._reassigned = True
        whole = is_whole(partitions, self._options.broker_topics)
        self._joining_since = None if whole else (self._joining_since or time.monotonic())
        # Nothing is read before the restore says from where.
        client.assign([])

    def _on_revoke(self, client: ck.Consumer, _partitions: list[ck.TopicPartition]) -> None:
        self._assignment = frozenset()
        self._reassigned = True
        self._joining_since = time.monotonic()
        _unpause(client)
        client.unassign()

    def _rejoin_if_left_out(self) -> None:
        if self._joining_since is not None and time.monotonic() - self._joining_since > JOIN_SECONDS:
            if self._assignment:
                self.leave()
            self.rejoin(f"no partitions were given, or not of all topics, for {JOIN_SECONDS:.0f} s")

    # ---- reading -------------------------------------------------------------------------------------------

    def receive(self, max_records: int, timeout: float) -> list[ck.Message]:
        """Up to ``max_records`` messages and events of the client, waiting ``timeout`` seconds at most for the first.

        What is no message has an ``error()``: the end of a partition, or one for ``failed``."""
        self._rejoin_if_left_out()
        # consume() would wait its whole time-out, so the first message is polled for.
        first = self._asked(lambda client: client.poll(timeout))
        if first is None or max_records == 1:
            return [] if first is None else [first]
        return [first, *self._asked(lambda client: client.consume(max_records - 1, 0))]

    def collect(self, max_records: int, timeout: float) -> list[ck.Message]:
        """As ``receive``, but waits the whole ``timeout`` unless ``max_records`` are there before."""
        self._rejoin_if_left_out()
        return self._asked(lambda client: client.consume(max_records, timeout))

    def failed(self, error: ck.KafkaError) -> None:
        """Takes each error that comes in place of a message. Raises where reading cannot go on."""
        if error.fatal() or error.code() == ck.KafkaError._FATAL:
            raise self._fenced(error.str())
        if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
            raise Unavailable(f"an offset is not in the topic any more: {error.str()}")
        if time.monotonic() - self._warned_at >= WARN_SECONDS:
            self._warned_at = time.monotonic()
            log.warning("waiting for Kafka", address=self._options.bootstrap, reason=error.str())
        if error.code() == ck.KafkaError._TIMED_OUT:
            self.rejoin("the coordinator of the group does not answer")

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Reads on from exactly these offsets, these partitions and no others; none of them is paused."""
        theirs = [self._options.theirs(at, offset) for at, offset in offsets.items()]
        self._asked(_unpause)
        self._asked(lambda client: client.assign(theirs))

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        theirs = list(map(self._options.theirs, partitions))
        self._asked(lambda client: client.pause(theirs))

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        theirs = list(map(self._options.theirs, partitions))
        self._asked(lambda client: client.resume(theirs))

    # ---- offsets of the group ------------------------------------------------------------------------------

    def committed(self, partitions: Iterable[TopicPartition], timeout: float) -> Mapping[TopicPartition, Committed]:
        """The stable committed offsets (KIP-447). A partition without one is missing."""
        theirs = list(map(self._options.theirs, partitions))
        answers = self._asked(lambda client: client.committed(theirs, timeout=timeout))
        for one in answers:
            if one.error is not None:
                at = f"{one.topic}/{one.partition}"
                raise Unavailable(f"Kafka at {self._options.bootstrap}: committed offset of {at}: {one.error.str()}")
        return {
            self._options.topic_partition(one): Committed(one.offset, one.metadata or "")
            for one in answers
            if one.offset >= 0
        }

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Begins to commit offsets; nobody waits for it, and nothing depends on it."""
        theirs = [self._options.theirs(at, offset) for at, offset in offsets.items()]
        self._asked(lambda client: client.commit(offsets=theirs, asynchronous=True))

    def metadata(self) -> object:
        """The group metadata of this moment, for a transaction."""
        return self._asked(lambda client: client.consumer_group_metadata())

    # ---- failures ------------------------------------------------------------------------------------------

    def _asked(self, call: Callable[[ck.Consumer], Answer]) -> Answer:
        """What the client returns. Any of its calls may be the one that tells of a fatal error."""
        try:
            return call(self._member())
        except ck.KafkaException as failure:
            self.failed(failure.args[0])
            # Whoever asks again at once does so in vain, without a pause.
            time.sleep(AGAIN_SECONDS)
            raise Unavailable(f"Kafka at {self._options.bootstrap}: {failure.args[0].str()}") from None
        except (RuntimeError, *MASKED) as masked:
            # A closed client raises RuntimeError.
            raise self._fenced(str(masked)) from None

    def _fenced(self, reason: str) -> Exception:
        """A client with a fatal error is of no more use: it was fenced. The first time that may be our own late
        request under a former member id, so a new one joins; the second time it is another process."""
        self._leave_behind()
        now = time.monotonic()
        if now - self._fenced_at < FENCED_AGAIN_SECONDS:
            instance = self._options.instance
            return UserError(f"another process runs as INSTANCE={instance}: give each its own ({reason})")
        self._fenced_at = now
        return Unavailable(f"the consumer failed: {reason}")


def _unpause(client: ck.Consumer) -> None:
    """librdkafka keeps a partition paused across assignments: one that came back would never be read again."""
    client.resume(client.assignment())
