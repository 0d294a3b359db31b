"""The thread that loads: takes batches from a bounded queue, in order, and stores each in a transaction."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from analytics_service.ingest.batch import Batch
from analytics_service.ingest.store import Collision, Store

log = structlog.get_logger()


class Loader:
    """Stores batches on its own thread.

    After a failure nothing more of that generation is stored: what is queued behind a batch that failed would leave a
    gap. ``topic_ids`` asks the broker which topics there are now.
    """

    def __init__(self, store: Store, topic_ids: Callable[[], Mapping[str, str]], queued: int) -> None:
        self._store = store
        self._topic_ids = topic_ids
        self._queue: queue.Queue[Batch | None] = queue.Queue(queued)
        self._stored: queue.SimpleQueue[Batch] = queue.SimpleQueue()
        self._generation = 0
        self._failure: Exception | None = None
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        """Spent in storing what ``counts`` says."""
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, batch: Batch, timeout: float) -> bool:
        """Queues the batch; False when there was no room for ``timeout`` seconds: the database is slow."""
        try:
            self._queue.put(batch, timeout=timeout)
        except queue.Full:
            return False
        return True

    @property
    def has_queued(self) -> bool:
        """Whether a batch waits behind the one that is being stored."""
        return not self._queue.empty()

    @property
    def failure(self) -> Exception | None:
        """Why the present generation is not stored any further."""
        return self._failure

    def stored(self) -> Batch | None:
        """The next batch that was stored since the last call; None: no more."""
        try:
            return self._stored.get_nowait()
        except queue.Empty:
            return None

    def discard(self, generation: int) -> None:
        """From now on stores batches of this generation only. Does not wait for the one that is being stored."""
        self._generation = generation
        self._failure = None

    def idle(self, timeout: float) -> bool:
        """Waits until no batch is being stored; False when one still is after ``timeout`` seconds."""
        return self._idle.wait(timeout)

    def forget(self) -> None:
        """Forgets what the database holds; only while idle."""
        self._store.forget()

    def finish(self, timeout: float) -> bool:
        """Stores what is queued and ends; False when that takes longer than ``timeout`` seconds."""
        ends_at = time.monotonic() + timeout
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return False
        self._thread.join(max(0.0, ends_at - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._idle.clear()
            try:
                if batch.generation == self._generation and self._failure is None:
                    self._save(batch)
                    self._stored.put(batch)
            except Exception as error:
                if batch.generation == self._generation:
                    self._failure = error
            finally:
                self._idle.set()

    def _save(self, batch: Batch) -> None:
        began = time.monotonic()
        self._require_same_topics(batch)
        refused = self._store.save(batch)
        took = time.monotonic() - began
        dead_letters = len(batch.letters) + refused
        self.counts.update(batches=1, messages=len(batch), dead_letters=dead_letters)
        self.seconds += took
        log.info(
            "stored",
            messages=len(batch),
            dead_letters=dead_letters,
            seconds=round(took, 3),
        )

    def _require_same_topics(self, batch: Batch) -> None:
        """A topic that is recreated under the reader is read on at the old offset, without an error. So a batch is
        its log's only when the topic is still the same after the batch was read."""
        now = self._topic_ids()
        for topic, topic_id in batch.topic_ids.items():
            if now.get(topic, topic_id) != topic_id:
                raise Collision(f"topic {topic} was recreated")
