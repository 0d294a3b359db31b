"""What goes from the thread that reads to the thread that loads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Message

from analytics_service.dead_letters import LONGEST_REASON, DeadLetter, encode_headers, headers_of
from analytics_service.ingest.rows import Child, row
from analytics_service.stored import LogPartition
from shop.contract.events import parse
from shop.runtime.log import TopicPartition


class Fact(NamedTuple):
    """A valid message: its row as a line for LOAD DATA, what the row refers to, and the message itself, which is
    needed whole should the database refuse the row (None: it is a dead letter already)."""

    table: str
    line: str
    cart: Child | None
    address: Child | None
    log_id: int
    timestamp: str
    message: Message | None

    def refused(self, reason: str) -> DeadLetter:
        """The message as a dead letter."""
        assert self.message is not None
        return dead_letter(self.message, self.log_id, self.timestamp, reason)


def fact(
    table: str,
    log_id: int,
    partition: int,
    offset: int,
    timestamp: str,
    value: bytes | None,
    message: Message | None = None,
) -> Fact:
    """The fact that a message is. Raises ValueError that says why it is none."""
    rows = row(parse(table, value))
    line = f"{log_id}\t{partition}\t{offset}\t{timestamp}\t{rows.fields}"
    return Fact(table, line, rows.cart, rows.address, log_id, timestamp, message)


def dead_letter(message: Message, log_id: int, timestamp: str | None, reason: str) -> DeadLetter:
    """The whole message, put away. Headers that the client cannot read are left out, and the reason says so."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    try:
        headers = encode_headers(headers_of(message))
    except ValueError as error:
        headers, reason = None, f"{error}; {reason}"[:LONGEST_REASON]
    return DeadLetter(log_id, partition, offset, timestamp, reason, message.key(), message.value(), headers)


@dataclass(slots=True)
class Batch:
    """Consecutive messages of some partitions, for one database transaction.

    ``generation``    the reading that it belongs to; a later one starts again from the database
    ``tables``        the fact table of each log in it
    ``topic_ids``     the topics as they were when the reading began
    ``predecessors``  the last stored offset before it, per partition; -1: none
    ``next_offsets``  where reading goes on after it
    """

    generation: int
    tables: Mapping[int, str]
    topic_ids: Mapping[str, str]
    opened_at: float
    predecessors: dict[LogPartition, int] = field(default_factory=dict)
    next_offsets: dict[TopicPartition, int] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.facts) + len(self.letters)
