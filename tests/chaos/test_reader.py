"""The reader who holds locks: nothing can be added to the table, until the session ends."""

from types import SimpleNamespace
from typing import cast

import pytest

from chaos.faults.servers import HoldLocks
from chaos.progress import ProgressRecord
from chaos.stage import TOPICS, Stage
from chaos.tables import TableWatch
from local.errors import Refusal
from local.mariadb import MariaDB

INSERT = """SET innodb_lock_wait_timeout = 1;
BEGIN;
INSERT INTO analytics.`{}` (log_id, kafka_partition, kafka_offset, kafka_timestamp) VALUES (99, 0, 0, '2027-01-15');
ROLLBACK;"""


@pytest.mark.parametrize("table", TOPICS)
def test_a_reader_who_holds_locks_keeps_rows_out_until_its_session_ends(mariadb: MariaDB, table: str) -> None:
    insert = f"SET sql_mode = '';\n{INSERT.format(table)}"
    stage = SimpleNamespace(tables=TableWatch(mariadb.port, ProgressRecord({})), idle=[])
    HoldLocks(table).strike(cast(Stage, stage))
    with pytest.raises(Refusal, match="ERROR 1205"):
        mariadb.execute(insert)
    stage.idle[0].close()
    mariadb.execute(insert)
