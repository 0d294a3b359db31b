"""Which faults happen, and when: drawn from the seed alone, so that the same seed draws the same faults."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random

from chaos.faults import messages, offsets, processes, servers
from chaos.faults.fault import Fault
from chaos.stage import SERVICES, SLOTS, TOPICS

SHORTEST_STOP, LONGEST_STOP = 1.0, 30.0
LONGEST_PAUSE = 3.0
HASTY = 0.15
"""Share of the faults that do not wait until the one before is recovered from."""
TAKEN_OVER_AFTER = 28.0


@dataclass(frozen=True)
class Planned:
    """A fault, and when: ``pause`` seconds after the one before was recovered from, or, ``hasty``, was mended."""

    number: int
    pause: float
    hasty: bool
    kind: str
    fault: Fault


@dataclass(frozen=True)
class Kind:
    """``copies``: how many of it there are in a deck."""

    copies: int
    draw: Callable[[Random], Fault]


def _one(random: Random) -> tuple[str, str]:
    return random.choice(SERVICES), random.choice(SLOTS)


def _stop(random: Random) -> float:
    return round(random.uniform(SHORTEST_STOP, LONGEST_STOP), 1)


def _away(random: Random) -> float:
    return round(random.uniform(0, 8), 1)


def _killed(random: Random) -> Fault:
    victims: list[Fault] = [
        *(processes.Kill(service, slot) for service in SERVICES for slot in SLOTS),
        *(servers.KillServer(server, _away(random)) for server in servers.NAMES),
    ]
    return processes.AtOnce(*random.sample(victims, 2))


def _publish(what: str) -> Kind:
    topics = messages.WRONGS[what][0]
    return Kind(1, lambda random: messages.Publish(what, random.choice(topics), random.getrandbits(32)))


def _change_offsets(random: Random) -> Fault:
    group, way = random.choice(SERVICES), random.choice(sorted(offsets.WAYS))
    return offsets.ChangeOffsets(group, way, random.choice([None, None, *TOPICS]))


def _of_servers(copies: int, name: str, draw: Callable[[str, Random], Fault]) -> dict[str, Kind]:
    return {
        f"{name}-{server}": Kind(copies, lambda random, server=server: draw(server, random))  # type: ignore[misc]
        for server in servers.NAMES
    }


KINDS: Mapping[str, Kind] = {
    "kill-service": Kind(6, lambda random: processes.Kill(*_one(random))),
    "kill-for-long": Kind(2, lambda random: processes.KillForLong(*_one(random), away=TAKEN_OVER_AFTER)),
    "stop-service": Kind(3, lambda random: processes.Stop(*_one(random), stopped=_stop(random))),
    "terminate": Kind(2, lambda random: processes.Terminate(*_one(random))),
    "join": Kind(1, lambda random: processes.Join(random.choice(SERVICES), "2", round(random.uniform(5, 15), 1))),
    "same-slot": Kind(1, lambda random: processes.SameSlot(*_one(random), stays=20.0)),
    "clock": Kind(
        1, lambda random: processes.StepClock(*_one(random), random.choice([-1.0, 1.0]), after=4.0, jumped=8.0)
    ),
    "two-at-once": Kind(2, _killed),
    **_of_servers(2, "kill", lambda server, random: servers.KillServer(server, _away(random))),
    **_of_servers(1, "restart", lambda server, random: servers.RestartServer(server, _away(random))),
    **_of_servers(1, "stop", lambda server, random: servers.StopServer(server, _stop(random))),
    **_of_servers(1, "cut", lambda server, random: servers.Cut(server, random.choice([0, 100, 5000, 50_000]))),
    **_of_servers(1, "slow", lambda server, random: servers.Slow(server, 2.0, round(random.uniform(5, 15), 1))),
    **_of_servers(1, "full", lambda server, random: servers.Full(server, round(random.uniform(2, 10), 1))),
    "read-only": Kind(1, lambda _: servers.ReadOnly(5.0)),
    "kill-connections": Kind(1, lambda _: servers.KillConnections()),
    "lock-table": Kind(1, lambda random: servers.LockTable(random.choice(TOPICS), 10.0)),
    "reader-holds-locks": Kind(1, lambda random: servers.HoldLocks(random.choice(TOPICS))),
    **{"message-" + what.replace(" ", "-"): _publish(what) for what in messages.WRONGS},
    "message-too-large": Kind(1, lambda random: messages.PublishTooLarge(random.choice(TOPICS))),
    "hanging-transaction": Kind(1, lambda random: messages.HangingTransaction(random.choice(TOPICS))),
    "change-offsets": Kind(2, _change_offsets),
    "recreate-topic": Kind(1, lambda random: messages.Recreate(random.choice(TOPICS))),
}
"""Every kind of fault."""
NEED_A_DISK = frozenset({"full-kafka", "full-mariadb"})
"""Kinds for which a file system has to be mounted."""


def draw(seed: int, count: int, kinds: Collection[str]) -> list[Planned]:
    """The first ``count`` faults of a seed, of these kinds. They are dealt from a shuffled deck, and another one when
    that is used up, so that every kind comes early."""
    return list(islice(_deal(Random(seed), sorted(kinds)), count))


def _deal(random: Random, kinds: list[str]) -> Iterator[Planned]:
    number = 0
    while True:
        deck = [kind for kind in kinds for _ in range(KINDS[kind].copies)]
        random.shuffle(deck)
        for kind in deck:
            number += 1
            pause = round(random.uniform(0, LONGEST_PAUSE), 2)
            hasty = random.random() < HASTY
            yield Planned(number, pause, hasty, kind, KINDS[kind].draw(random))
