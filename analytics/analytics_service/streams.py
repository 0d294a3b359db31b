"""What is read: the names of topics, group and slot, as the broker sees them."""

from dataclasses import dataclass
from typing import NamedTuple

from shop.contract.lifecycle import TOPICS


@dataclass(frozen=True)
class Streams:
    """All three topics, read in a group of our own. ``namespace`` stands before every name on the broker."""

    namespace: str = ""

    @property
    def topics(self) -> list[str]:
        return [self.namespace + topic for topic in TOPICS]

    @property
    def group(self) -> str:
        return f"{self.namespace}analytics"

    def table(self, topic: str) -> str:
        """The contract's name of a topic, which is also the name of its fact table."""
        return topic[len(self.namespace) :]


class TopicPartition(NamedTuple):
    """A partition as Kafka names it."""

    topic: str
    partition: int


class LogPartition(NamedTuple):
    """A partition of one life of a topic, as the tables name it."""

    log_id: int
    number: int
