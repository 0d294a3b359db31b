"""The independent record: a plain consumer that reads everything from the first message on, and remembers what must
be known to judge it in the end. It goes to the broker directly, as anybody may."""

import logging
import threading
import time
from collections import Counter, deque
from typing import NamedTuple

import confluent_kafka as ck

from chaos.chains import LETTERS, Chains
from chaos.injections import HEADER, Coordinates, Injections
from chaos.progress import ProgressRecord, TopicPartition

SAMPLE_EVERY = 20
SAMPLES = 400
TIMEOUT = 0.2
NOTICED_SECONDS = 15.0
"""Within which every service has noticed that a topic was recreated."""

silent = logging.getLogger("chaos.librdkafka")
silent.disabled = True


class Sample(NamedTuple):
    """A message of the services, whole."""

    partition: int
    key: bytes
    value: bytes
    at: float


class Record:
    """Reads in a thread of its own, from ``start`` to ``close``."""

    def __init__(self, bootstrap: str, partitions: int, injections: Injections, progress: ProgressRecord) -> None:
        self.chains = Chains()
        self.rows: Counter[str] = Counter()
        """Per topic: messages that must have a row."""
        self.letters: Counter[str] = Counter()
        """Per topic: messages that must be dead letters."""
        self.failures: list[str] = []
        self.last_at = 0.0
        """When the latest message was read."""
        self._samples = {
            (topic, letter): deque[Sample](maxlen=SAMPLES) for topic in LETTERS for letter in LETTERS[topic].values()
        }
        self._seen = Counter[tuple[str, str]]()
        self._recreated: set[str] = set()
        self._injections = injections
        self._progress = progress
        self._bootstrap = bootstrap
        self._next = {TopicPartition(topic, number): 0 for topic in LETTERS for number in range(partitions)}
        self._consumer: ck.Consumer | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)

    def start(self) -> None:
        self._read_from(self._next)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def samples(self, topic: str, status: str, since: float) -> list[Sample]:
        """Some messages of that status that came since then."""
        letter = LETTERS[topic][status]
        return [one for one in list(self._samples[topic, letter]) if one.at >= since]

    def was_recreated(self, topic: str) -> bool:
        """Whether the topic has begun anew since the record began."""
        return topic in self._recreated

    def leave(self, topic: str) -> None:
        """Reads the topic no more: it is about to be recreated."""
        with self._lock:
            self._read_from(
                {
                    topic_partition: offset
                    for topic_partition, offset in self._next.items()
                    if topic_partition.topic != topic
                }
            )

    def recreate(self, topic: str) -> None:
        """Reads the topic from its start; what was counted of its former life is forgotten."""
        with self._lock:
            self._next |= {topic_partition: 0 for topic_partition in self._next if topic_partition.topic == topic}
            self.rows[topic] = self.letters[topic] = 0
            self._recreated.add(topic)
            for (name, _), samples in self._samples.items():
                if name == topic:
                    samples.clear()
            self._injections.forget(topic)
            now = time.time()
            self.chains.forget(now, now + NOTICED_SECONDS)
            self._read_from(self._next)

    def _read_from(self, offsets: dict[TopicPartition, int]) -> None:
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = ck.Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "chaos-record",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "reconnect.backoff.max.ms": 500,
                "fetch.wait.max.ms": 100,
                "logger": silent,
            }
        )
        self._consumer.assign(
            [ck.TopicPartition(*topic_partition, offset) for topic_partition, offset in offsets.items()]
        )

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                with self._lock:
                    assert self._consumer is not None
                    for message in self._consumer.consume(1000, TIMEOUT):
                        self._take(message)
                time.sleep(0.001)  # lets others have the lock
        except Exception as error:
            self.failures.append(f"the record broke: {error!r}")
            raise
        finally:
            if self._consumer is not None:
                self._consumer.close()

    def _take(self, message: ck.Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
                self.failures.append(f"the topic does not hold what the record has not read yet: {error.str()}")
            return
        topic, partition, offset = str(message.topic()), int(message.partition()), int(message.offset())  # type: ignore[arg-type]
        value, at = message.value(), message.timestamp()[1] / 1000
        self._next[TopicPartition(topic, partition)] = offset + 1
        self.last_at = time.time()
        headers = dict(message.headers() or [])
        if HEADER in headers:
            injection = self._injections.see(int(headers[HEADER] or b""), Coordinates(topic, partition, offset))
            (self.rows if injection.row else self.letters)[topic] += 1
            if injection.lives and value is not None:
                self.chains.add(topic, value, at)
            return
        self.rows[topic] += 1
        self._progress.note(topic, TopicPartition(topic, partition), at)
        try:
            letter = self.chains.add(topic, value or b"", at)
        except (ValueError, KeyError, TypeError) as wrong:
            self.failures.append(f"{topic}/{partition}@{offset} is no event: {wrong}")
            return
        self._seen[topic, letter] += 1
        if self._seen[topic, letter] % SAMPLE_EVERY == 0:
            self._samples[topic, letter].append(Sample(partition, message.key() or b"", value or b"", at))
