"""What MariaDB holds, as anybody may see it: how far analytics has come, and how many rows there are."""

import contextlib
import threading
import time

import pymysql

from chaos.progress import ProgressRecord, TopicPartition
from local.mariadb import MariaDB
from local.server import HOST

LOOK_SECONDS = 0.25
REPLY_SECONDS = 3


class TableWatch:
    """Watches the fact tables in a thread of its own, and notes when analytics gets on."""

    def __init__(self, port: int, progress: ProgressRecord) -> None:
        self._port = port
        self._progress = progress
        self._stored: dict[TopicPartition, tuple[int, int]] = {}
        self._looked_at = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tables", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            # The database may be away, or lock its tables: then nothing gets on.
            with contextlib.suppress(pymysql.MySQLError, OSError), self.session() as connection:
                while not self._over.is_set():
                    self._look(connection)
                    self._over.wait(LOOK_SECONDS)
            self._over.wait(LOOK_SECONDS)

    def _look(self, connection: "pymysql.Connection[pymysql.cursors.Cursor]") -> None:
        before, looks_at = self._looked_at, time.time()
        for topic in ("checkout", "order", "fulfillment"):
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT kafka_partition, log_id, MAX(kafka_offset) FROM `{topic}` "
                    "GROUP BY log_id, kafka_partition ORDER BY log_id"
                )
                latest = {partition: (log_id, offset) for partition, log_id, offset in cursor.fetchall()}
            for partition, stored in latest.items():
                topic_partition = TopicPartition(topic, partition)
                if self._stored.get(topic_partition) != stored:
                    self._stored[topic_partition] = stored
                    self._progress.note("analytics", topic_partition, time.time(), since=before)
        self._looked_at = looks_at

    def session(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A new session of ``user``, past the proxy. Raises MySQLError where the database does not answer."""
        return pymysql.connect(
            host=HOST,
            port=self._port,
            user="user",
            password="userpw",
            database="analytics",
            autocommit=True,
            connect_timeout=REPLY_SECONDS,
            read_timeout=REPLY_SECONDS,
            write_timeout=REPLY_SECONDS,
        )


def rows(mariadb: MariaDB, table: str) -> dict[str, int]:
    """The rows of a table of analytics, per topic, of the present life of each topic."""
    present = "SELECT MAX(log_id) AS log_id, topic FROM analytics.kafka_log GROUP BY topic"
    answer = mariadb.execute(
        f"SELECT present.topic, COUNT(*) FROM ({present}) AS present JOIN analytics.`{table}` USING (log_id) "
        "GROUP BY present.topic"
    )
    return {topic: int(count) for topic, count in (line.split("\t") for line in answer.splitlines()[1:])}


def fulfillments(mariadb: MariaDB) -> dict[str, int]:
    """The rows of fulfillment's own table, per status."""
    answer = mariadb.execute("SELECT status, COUNT(*) FROM fulfillment.fulfillment GROUP BY status")
    return {status: int(count) for status, count in (line.split("\t") for line in answer.splitlines()[1:])}
