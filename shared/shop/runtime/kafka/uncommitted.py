"""What a broker holds of a partition beyond what ``read_committed`` returns."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import confluent_kafka as ck

from shop.runtime.errors import Unavailable
from shop.runtime.kafka.failover import REPLY_SECONDS, leave_behind
from shop.runtime.kafka.options import KafkaOptions
from shop.runtime.log import TopicPartition


class Uncommitted:
    """Asks for offsets and records of hanging transactions, each time with a client that joins no group.
    Each call blocks for ``REPLY_SECONDS`` at most."""

    def __init__(self, options: KafkaOptions, consumer: Callable[[dict[str, Any]], ck.Consumer]) -> None:
        self._options = options
        self._consumer_of = consumer

    def tells(self, partitions: Iterable[TopicPartition]) -> bool:
        """Whether the broker returns the group's offsets, stable or not."""
        asker = self._asker()
        try:
            asker.committed(list(map(self._options.theirs, partitions)), timeout=REPLY_SECONDS)
        except ck.KafkaException:
            return False
        finally:
            leave_behind(asker)
        return True

    def values(self, topic_partition: TopicPartition, start: int, end: int) -> list[bytes]:
        """All records of the part of a partition that begins at ``start`` and ends before ``end``. Raises
        Unavailable."""
        asker = self._asker()
        try:
            asker.assign([self._options.theirs(topic_partition, start)])
            return [message.value() or b"" for message in self._until(asker, end)]
        except ck.KafkaException as failure:
            raise Unavailable(f"Kafka at {self._options.bootstrap}: {failure.args[0].str()}") from None
        finally:
            leave_behind(asker)

    def _until(self, asker: ck.Consumer, end: int) -> Iterator[ck.Message]:
        deadline, offset = time.monotonic() + REPLY_SECONDS, -1
        while offset < end - 1:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Kafka at {self._options.bootstrap} does not return the records of a hanging transaction in time"
                )
            message = asker.poll(0.1)
            if message is None:
                continue
            error, offset = message.error(), message.offset() or 0
            if error is None and offset < end:
                yield message
            elif error is not None and error.code() == ck.KafkaError._PARTITION_EOF:
                return
            elif error is not None:
                raise ck.KafkaException(error)

    def _asker(self) -> ck.Consumer:
        return self._consumer_of(self._options.consumer() | {"isolation.level": "read_uncommitted"})
