"""What happens to Kafka and MariaDB, and on the way to them."""

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.faults.fault import READER_ENDED, SERVER_BACK, Fault
from chaos.proxy import Proxy
from chaos.stage import SERVICES, Stage
from local.server import Server

NAMES = {"kafka": "Kafka", "mariadb": "MariaDB"}
WRITERS = ("fulfillment", "analytics")
"""Who comes to MariaDB."""


@dataclass(frozen=True)
class _OfServer(Fault):
    server: str

    @property
    def name(self) -> str:
        return NAMES[self.server]

    @property
    def judged(self) -> Sequence[str]:
        return SERVICES if self.server == "kafka" else WRITERS

    def of(self, stage: Stage) -> Server:
        return stage.servers[self.server]

    def proxy(self, stage: Stage) -> Proxy:
        return stage.to_kafka if self.server == "kafka" else stage.to_mariadb


@dataclass(frozen=True)
class KillServer(_OfServer):
    """kill -9, and started again after a while. Recovery counts from when it answers."""

    figure = SERVER_BACK
    away: float

    def __str__(self) -> str:
        return f"kill -9 {self.name}, away for {self.away:.0f} s"

    @property
    def lasts(self) -> float:
        return self.away

    def strike(self, stage: Stage) -> None:
        self.of(stage).kill()

    def mend(self, stage: Stage) -> None:
        stage.bring_back(self.of(stage))


@dataclass(frozen=True)
class RestartServer(KillServer):
    """A clean restart in the middle of commits."""

    def __str__(self) -> str:
        return f"restart {self.name}, away for {self.away:.0f} s"

    def strike(self, stage: Stage) -> None:
        self.of(stage).stop()


@dataclass(frozen=True)
class StopServer(_OfServer):
    """SIGSTOP, and later SIGCONT: it keeps its connections and does not answer."""

    stopped: float

    def __str__(self) -> str:
        return f"SIGSTOP {self.name} for {self.stopped:.0f} s"

    @property
    def lasts(self) -> float:
        return self.stopped

    def strike(self, stage: Stage) -> None:
        os.kill(self.of(stage).pid, signal.SIGSTOP)

    def mend(self, stage: Stage) -> None:
        os.kill(self.of(stage).pid, signal.SIGCONT)


@dataclass(frozen=True)
class Cut(_OfServer):
    """All connections of the services to it end, each after so many more bytes that its client sends: in the middle
    of a batch. New connections are well."""

    after: int

    def __str__(self) -> str:
        return f"connections to {self.name} cut after {self.after:,} bytes"

    def strike(self, stage: Stage) -> None:
        self.proxy(stage).cut(self.after)


@dataclass(frozen=True)
class Slow(_OfServer):
    """What goes to it and comes from it takes longer by ``latency`` seconds, each way."""

    latency: float
    slow: float

    def __str__(self) -> str:
        return f"{self.latency:.0f} s of latency to {self.name} for {self.slow:.0f} s"

    @property
    def lasts(self) -> float:
        return self.slow

    def strike(self, stage: Stage) -> None:
        self.proxy(stage).delay(self.latency)

    def mend(self, stage: Stage) -> None:
        self.proxy(stage).delay(0)


@dataclass(frozen=True)
class Full(_OfServer):
    """Its disk is full to the last byte, and freed later. Started again where it ended by that; recovery counts from
    when it answers."""

    full: float

    def __str__(self) -> str:
        return f"disk of {self.name} full for {self.full:.0f} s"

    @property
    def lasts(self) -> float:
        return self.full

    def strike(self, stage: Stage) -> None:
        stage.disks[self.server].fill()

    def mend(self, stage: Stage) -> None:
        stage.disks[self.server].free()
        try:
            _ = self.of(stage).pid
        except LookupError:
            stage.bring_back(self.of(stage))


@dataclass(frozen=True)
class ReadOnly(Fault):
    """MariaDB takes no writes, but for root."""

    lasts_for: float

    def __str__(self) -> str:
        return f"MariaDB read-only for {self.lasts_for:.0f} s"

    @property
    def lasts(self) -> float:
        return self.lasts_for

    def strike(self, stage: Stage) -> None:
        stage.mariadb.execute("SET GLOBAL read_only = 1")

    def mend(self, stage: Stage) -> None:
        stage.mariadb.execute("SET GLOBAL read_only = 0")


@dataclass(frozen=True)
class KillConnections(Fault):
    """KILL of every connection of analytics, in the middle of what it does."""

    def __str__(self) -> str:
        return "KILL of the ingest's connections"

    def strike(self, stage: Stage) -> None:
        stage.mariadb.execute("KILL USER analytics")


@dataclass(frozen=True)
class HoldLocks(Fault):
    """A reader counts the rows of a fact table in a SERIALIZABLE transaction, and goes to lunch: nothing is added to
    the table until its session is ended. Recovery counts from when it holds the locks."""

    figure = READER_ENDED
    table: str

    def __str__(self) -> str:
        return f"a reader holds locks on table {self.table}"

    @property
    def judged(self) -> Sequence[str]:
        return ["analytics"]

    def strike(self, stage: Stage) -> None:
        session = stage.tables.session()
        with session.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT COUNT(*) FROM `{self.table}`")
        stage.idle.append(session)


@dataclass(frozen=True)
class LockTable(Fault):
    """Somebody holds a lock on a fact table. It is gone with its connection."""

    table: str
    held: float

    def __str__(self) -> str:
        return f"table {self.table} locked for {self.held:.0f} s"

    @property
    def lasts(self) -> float:
        return self.held

    def strike(self, stage: Stage) -> None:
        statements = f"LOCK TABLES analytics.`{self.table}` WRITE; DO SLEEP({self.held});"
        threading.Thread(target=stage.mariadb.execute, args=(statements,), daemon=True).start()
