"""What a message becomes: a fact, or a dead letter where it is no valid event."""

import confluent_kafka as ck

from analytics_service.dead_letters import reason_of
from analytics_service.ingest.batch import Batch, dead_letter, fact
from analytics_service.ingest.rows import milliseconds
from analytics_service.stored import LogPartition


class Decoder:
    """Adds messages to batches. It remembers the last time stamp, which many messages in a row have in common."""

    def __init__(self) -> None:
        self._time: tuple[int | None, str] = (None, "")

    def add(self, message: ck.Message, offset: int, partition: LogPartition, batch: Batch) -> None:
        """Adds the message at these coordinates. Raises nothing: whatever is wrong with it is the letter's reason."""
        log_id, number = partition
        table, timestamp = batch.tables[log_id], None
        batch.size += len(message)
        try:
            timestamp = self._timestamp(message)
            batch.facts.append(fact(table, log_id, number, offset, timestamp, message.value(), message))
        except ValueError as error:
            batch.letters.append(dead_letter(message, log_id, timestamp, reason_of(error)))

    def _timestamp(self, message: ck.Message) -> str:
        kind, unix_ms = message.timestamp()
        if kind == ck.TIMESTAMP_NOT_AVAILABLE:
            raise ValueError("the broker tells no time for the message")
        if unix_ms == self._time[0]:
            return self._time[1]
        try:
            self._time = (unix_ms, milliseconds(unix_ms))
        except (ValueError, OverflowError, OSError):
            raise ValueError(f"the message's time, {unix_ms} ms since 1970, is beyond what can be stored") from None
        return self._time[1]
