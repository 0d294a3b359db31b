"""How fast analytics stores a backlog, beside the limit of the database, the usual tool and the obvious ways.

The limit is LOAD DATA INFILE of exactly the rows that analytics has stored, from files that are there already, into
the same tables of an empty database.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from sqlalchemy import Engine, text

from analytics_service.ingest.rows import COLUMNS
from shop.contract.lifecycle import TOPICS
from tools.bench.obvious import many_at_once, row_by_row
from tools.bench.results import Figure
from tools.bench.stage import PARTITIONS, Stage, alternate, connections, medians, wait_until
from tools.bench.traffic import DEFAULTS, Traffic, record, write, writer
from tools.kit import databases
from tools.kit.shop import Shop

BACKLOG, QUICK_BACKLOG = 500_000, 50_000
RATE = 10_000.0
"""Messages per second that the ids of the backlog speak of."""
ROW_BY_ROW, MANY_AT_ONCE = 6_000, 60_000
"""Messages of the backlog that the obvious ways store: enough to know how slow they are."""
CONNECT_SHARE = 0.30
"""Kafka Connect with a JDBC sink (upsert mode, two tasks) reached this share of LOAD DATA LOCAL into its one flat
table: 41,000 rows/s, measured once on a machine of this class."""
AT_LEAST = {"drain": 0.40, "against the usual tool": 1.0, "against row by row": 50.0, "against executemany": 2.0}
LONGEST_SECONDS = 300


class Backlog:
    """Messages that wait in Kafka, and databases to store them in."""

    def __init__(self, stage: Stage, traffic: Traffic) -> None:
        self.stage = stage
        self.messages = QUICK_BACKLOG if stage.quick else BACKLOG
        self.shop = Shop(stage.kafka, stage.mariadb, stage.folder, partitions=PARTITIONS)
        self.shop.environment |= DEFAULTS
        replay = traffic.replay(Random(1), int(time.time() * 1000), RATE)
        write(writer(stage.kafka.bootstrap), self.shop.world.namespace, replay, self.messages)

    def renew_database(self) -> None:
        """Forgets what was stored, and lets the server write down all that it still has in memory: what is measured
        next must not pay for it."""
        mariadb = self.stage.mariadb
        self.shop.databases.drop(mariadb)
        self.shop.databases = databases.create(mariadb, uuid.uuid4().hex[:8])
        mariadb.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        dirty = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'"
        wait_until(lambda: int(mariadb.execute(dirty).split()[-1]) == 0, "the server to write its pages", 60)
        mariadb.execute("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")

    def drained(self) -> float:
        """Messages per second of one analytics process, from the first rows that another connection sees to the
        last."""
        self.renew_database()
        return drained(self.shop, 0, self.messages)

    def dump(self, folder: Path) -> None:
        """Writes what analytics has stored as one file per table."""
        folder.mkdir()
        for table, columns in COLUMNS.items():
            name = f"`{self.shop.databases.analytics}`.`{table}`"
            self.stage.mariadb.execute(f"SELECT {columns} FROM {name} INTO OUTFILE '{folder / table}'")

    def loaded(self, folder: Path) -> float:
        """Messages per second of LOAD DATA INFILE of these files."""
        self.renew_database()
        began = time.perf_counter()
        for table, columns in COLUMNS.items():
            name = f"`{self.shop.databases.analytics}`.`{table}`"
            self.stage.mariadb.execute(f"LOAD DATA INFILE '{folder / table}' INTO TABLE {name} ({columns})")
        return self.messages / (time.perf_counter() - began)

    def flat(self, folder: Path) -> float:
        """Rows per second of LOAD DATA LOCAL into one flat table, which holds the fields of checkouts alone."""
        self.renew_database()
        name = f"`{self.shop.databases.analytics}`.`flat`"
        columns = COLUMNS["checkout"].replace("log_id, ", "").split(", ")
        fields = ", ".join(f"{column} VARCHAR(64)" for column in columns[2:])
        self.stage.mariadb.execute(
            f"CREATE TABLE {name} (kafka_partition INT, kafka_offset BIGINT, {fields}, "
            "PRIMARY KEY (kafka_partition, kafka_offset))"
        )
        began = time.perf_counter()
        self.stage.mariadb.execute(
            f"LOAD DATA LOCAL INFILE '{folder / 'checkout'}' INTO TABLE {name} (@log_id, {', '.join(columns)})"
        )
        loaded = int(self.stage.mariadb.execute(f"SELECT COUNT(*) FROM {name}").split()[-1])
        return loaded / (time.perf_counter() - began)

    def row_by_row(self) -> float:
        """Messages per second of the most obvious way."""
        return self._obvious(row_by_row, ROW_BY_ROW)

    def many_at_once(self) -> float:
        """Messages per second of executemany."""
        return self._obvious(many_at_once, MANY_AT_ONCE)

    def _obvious(self, way: Callable[[Engine, str, str, int], float], messages: int) -> float:
        self.renew_database()
        engine = connections(self.shop, "analytics")
        messages = messages // 4 if self.stage.quick else messages
        rate = way(engine, self.stage.kafka.bootstrap, self.shop.world.namespace, messages)
        engine.dispose()
        return rate

    def close(self) -> None:
        self.shop.close()


def drained(shop: Shop, before: int, messages: int) -> float:
    """Messages per second of one analytics process that stores ``messages`` more than ``before``, from the first rows
    that another connection sees to the last."""
    engine = connections(shop).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:

        def stored() -> int:
            return int(connection.execute(STORED).scalar_one()) - before

        service = shop.start("analytics")
        wait_until(lambda: stored() > 0, "the first rows", 60)
        first, began = stored(), time.perf_counter()
        wait_until(lambda: stored() == messages, "the last rows", LONGEST_SECONDS)
        rate = (messages - first) / (time.perf_counter() - began)
    engine.dispose()
    service.stop()
    return rate


def measure(stage: Stage) -> Sequence[Figure]:
    """The rate of draining beside all that it is compared with."""
    backlog = Backlog(stage, record(stage))
    folder = stage.folder / "rows"
    try:
        backlog.drained()
        backlog.dump(folder)
        rounds = alternate(
            stage.rounds,
            backlog.drained,
            lambda: backlog.loaded(folder),
            lambda: backlog.flat(folder) * CONNECT_SHARE,
            backlog.row_by_row,
            backlog.many_at_once,
        )
    finally:
        backlog.close()
    drained, *references = medians(rounds)
    ratios = medians([tuple(ours / other for other in others) for ours, *others in rounds])
    return [
        Figure(name, round(drained), "messages/s", round(reference), round(ratio, 2), at_least)
        for (name, at_least), reference, ratio in zip(AT_LEAST.items(), references, ratios, strict=True)
    ]


_HIGHEST = " UNION ALL ".join(
    f"SELECT COALESCE(MAX(kafka_offset), -1) + 1 AS stored FROM `{topic}` WHERE log_id = "
    f"(SELECT log_id FROM kafka_log WHERE topic = '{topic}') AND kafka_partition = {number}"
    for topic in TOPICS
    for number in range(PARTITIONS)
)
STORED = text(f"SELECT SUM(stored) FROM ({_HIGHEST}) AS partition_")
