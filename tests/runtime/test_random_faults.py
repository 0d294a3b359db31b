"""Random faults against the broker in memory: whatever happens, and in whatever order, exactly once holds.

Two judges that share no code: the auditor with all its rules, and ``truth.wrongs`` in the fewest words.
"""

import random
from collections import Counter
from collections.abc import Callable

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_service.audit.messages import Message, StoredRow
from shop.contract.events import Fulfillment, parse, serialize
from shop.contract.lifecycle import TOPICS, CheckoutStatus
from shop.runtime.limits import Limits
from shop.runtime.log import Committed, TopicPartition
from shop.runtime.loop import Processor
from tests.audit.world import World
from tests.examples import scaled
from tests.runtime.fake_log import TRANSACTION_SECONDS, Crash, FakeBroker, FakeClock, FakeLog
from tests.runtime.tampering import TAMPERINGS, Situation
from tools.kit.invariants import wrongs
from tools.kit.samples import checkout
from tools.kit.world import rules_of

PARTITIONS = 2
ROUND_SECONDS = 0.2
MOST_ROUNDS = 1000
POINTS = (
    "poll",
    "committed offsets",
    "after produce before offsets",
    "after offsets before commit",
    "after commit",
)
SERVICES = ("order", "fulfillment")
SLOTS = ("0", "1")


class Stage:
    """Two slots of each service; what happens to them is drawn from ``chance``."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.clock = FakeClock()
        self.broker = FakeBroker(self.clock, TOPICS, PARTITIONS)
        self.running: dict[tuple[str, str], Processor] = {}
        self.zombies: list[Processor] = []
        self.fetch_size = 1
        self.crash_at: dict[tuple[str, str], str] = {}
        self.backups: dict[str, dict[TopicPartition, Committed]] = {}
        self.submissions = 0
        self.repeats = 0
        # Without a window nothing but the offsets themselves may be relied on; duplicates of a foreign producer
        # are promised to be known only within it.
        self.dedupe_window = chance.choice((0.0, 100_000.0))

    def start(self, name: tuple[str, str]) -> None:
        service, slot = name
        rules = rules_of(service, speed=10.0, dispute_rate=0.3)

        def at(point: str) -> None:
            if self.crash_at.get(name) == point:
                del self.crash_at[name]
                raise Crash

        log = FakeLog(self.broker, service, slot, service, rules.inputs, at, lambda: self.fetch_size)
        limits = Limits(transaction_events=5, offsets_interval=0.2, dedupe_window=self.dedupe_window, pending_limit=6)
        self.running[name] = Processor(log, rules, self.clock, limits)

    def step(self, name: tuple[str, str]) -> None:
        try:
            self.running[name].step()
        except Crash:
            del self.running[name]

    def submit(self) -> None:
        self.submissions += 1
        self.publish(self.submissions, *CheckoutStatus)

    def publish(self, number: int, *statuses: CheckoutStatus) -> None:
        topic_partition = TopicPartition("checkout", number % PARTITIONS)
        for status in statuses:
            event = checkout(number, status)
            self.broker.append(topic_partition, event.key.encode(), serialize(event))

    def repeat_a_submission(self) -> None:
        if self.submissions and self.dedupe_window:
            self.publish(self.chance.randint(1, self.submissions), CheckoutStatus.SUBMITTED)
            self.repeats += 1

    def crash_later(self) -> None:
        name = self.any_name()
        self.crash_at[name] = self.chance.choice(POINTS)

    def kill(self) -> None:
        self.running.pop(self.any_name(), None)

    def restart(self) -> None:
        name = self.any_name()
        if name not in self.running:
            self.crash_at.pop(name, None)
            self.start(name)

    def freeze_and_replace(self) -> None:
        """A process is stopped, another starts in its slot, and then it wakes."""
        name = self.any_name()
        zombie = self.running.pop(name, None)
        if zombie is not None:
            self.zombies.append(zombie)
            self.start(name)

    def wake_a_zombie(self) -> None:
        if self.zombies:
            zombie = self.chance.choice(self.zombies)
            try:
                zombie.step()
            except Crash:
                self.zombies.remove(zombie)

    def expire(self) -> None:
        service, slot = self.any_name()
        self.broker.join(service, f"{service}-{slot}")
        self.broker.leave(service, f"{service}-{slot}")

    def tamper(self) -> None:
        """Somebody sets or deletes committed offsets of a group, or takes a backup of them to be restored later."""
        service = self.chance.choice(SERVICES)
        group = self.broker.groups[service]
        if {topic_partition.topic for topic_partition in group.offsets} < {service, *rules_of(service).inputs}:
            return
        backup = self.backups.setdefault(service, dict(group.offsets))
        if self.chance.random() < 0.3:
            self.backups[service] = dict(group.offsets)
        ends = {topic_partition: len(self.broker.log(topic_partition)) for topic_partition in group.offsets}
        now = Situation(service, group.offsets, group.offsets | backup, ends)
        group.offsets = dict(TAMPERINGS[self.chance.choice(sorted(TAMPERINGS))](now))

    def wait(self) -> None:
        self.clock.now += self.chance.choice((0.01, 0.3, 2.0, 15.0))

    def any_name(self) -> tuple[str, str]:
        return self.chance.choice(SERVICES), self.chance.choice(SLOTS)

    def step_some(self) -> None:
        self.fetch_size = self.chance.choice((1, 2, 5, 1000))
        for name in [name for name in self.running if self.chance.random() < 0.7]:
            self.step(name)

    def settle(self) -> list[str]:
        """No more faults: everything runs until nothing was published for twice as long as a transaction may take."""
        self.crash_at.clear()
        self.fetch_size = 1000
        for service in SERVICES:
            for slot in SLOTS:
                if (service, slot) not in self.running:
                    self.start((service, slot))
        quiet = 0.0
        for _ in range(MOST_ROUNDS):
            before = self.published()
            self.clock.now += ROUND_SECONDS
            self.broker.abort_expired()
            for name in list(self.running):
                self.step(name)
            quiet = quiet + ROUND_SECONDS if self.published() == before else 0.0
            if quiet > 2 * TRANSACTION_SECONDS:
                break
        return wrongs(*(self.broker.committed_records(topic) for topic in TOPICS))

    def published(self) -> tuple[int, int]:
        """Entries of all topics, and transactions, up to now."""
        return sum(map(len, self.broker.entries.values())), len(self.broker.transactions)

    def audit(self) -> Counter[tuple[str, str]]:
        """How often the auditor finds which rule broken in which topic; the tables are as they have to be."""
        world = World(partitions=PARTITIONS, now=int(self.clock.unix() * 1000))
        for topic in TOPICS:
            for record in self.broker.committed_records(topic):
                assert record.value is not None
                at, time = (topic, record.partition, record.offset), int(record.timestamp * 1000)
                world.log[at[:2]].append(Message(record.offset, time, True, record.key, record.value))
                world.rows[at] = StoredRow(time, record.value.decode())
                event = parse(topic, record.value)
                if isinstance(event, Fulfillment):
                    world.project(event, time)
        found: Counter[tuple[str, str]] = Counter()
        for rule, finding in world.audit().findings.items():
            found.update((rule, one.coordinates.topic) for one in finding.violations)
        return found


ACTIONS: tuple[tuple[Callable[[Stage], None], int], ...] = (
    (Stage.step_some, 20),
    (Stage.wait, 6),
    (Stage.submit, 4),
    (Stage.repeat_a_submission, 1),
    (Stage.crash_later, 2),
    (Stage.kill, 1),
    (Stage.restart, 2),
    (Stage.freeze_and_replace, 1),
    (Stage.wake_a_zombie, 1),
    (Stage.expire, 1),
    (Stage.tamper, 1),
)


@pytest.mark.claim(
    "whatever crashes, stops or moves, nothing is lost, doubled or stuck",
    section="failures",
    tried="broken in 11 ways",
)
@pytest.mark.claim(
    "the committed offset of an input is that of its lowest pending trigger", section="offsets", tried="broken"
)
@pytest.mark.claim("the committed offset of the output topic covers open entities", section="offsets", tried="broken")
@pytest.mark.claim(
    "every failure leads to a restore; nothing of a batch is used when partitions moved",
    section="restore",
    tried="broken",
)
@pytest.mark.claim(
    "nothing is decided before the output partition is read up to its restore target",
    section="restore",
    tried="broken",
)
@pytest.mark.claim(
    "a foreign producer's duplicates within the dedupe window are recognized", section="triggers", tried="broken"
)
@settings(max_examples=scaled(600), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=2**64))
def test_no_sequence_of_faults_loses_doubles_or_sticks_anything(seed: int) -> None:
    with structlog.testing.capture_logs():
        stage = Stage(random.Random(seed))
        for service in SERVICES:
            stage.start((service, "0"))
        actions, weights = zip(*ACTIONS, strict=True)
        for action in stage.chance.choices(actions, weights, k=150):
            action(stage)
        assert stage.settle() == []
        repeats = Counter({("once", "checkout"): stage.repeats} if stage.repeats else {})
        assert stage.audit() == repeats
