"""Whoever may read the tables and views sees their columns, as clients, drivers, libraries and dumps ask for them."""

import shutil
import subprocess

import pymysql
import pytest
from sqlalchemy import URL, Engine, MetaData, NullPool, Table, create_engine, inspect, select

from local.mariadb import MariaDB
from tools.kit.prepared import binaries

READERS = ("user", "auditor", "analytics")
# SQLAlchemy 2.0 knows MariaDB's UUID by the dialect of that name alone.
DIALECT = "mariadb+pymysql"


def columns(mariadb: MariaDB) -> dict[str, list[str]]:
    """The columns of every table and view of analytics, as root sees them."""
    told = mariadb.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'analytics' "
        "ORDER BY table_name, ordinal_position"
    )
    found: dict[str, list[str]] = {}
    for table, column in (line.split("\t") for line in told.splitlines()[1:]):
        found.setdefault(table, []).append(column)
    assert len(found) > 30
    return found


def asked(mariadb: MariaDB, user: str, statement: str) -> list[tuple[object, ...]]:
    with (
        pymysql.connect(
            host="::1", port=mariadb.port, user=user, password=f"{user}pw", database="analytics"
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return list(cursor.fetchall())


def engine(mariadb: MariaDB, user: str) -> Engine:
    return create_engine(URL.create(DIALECT, user, f"{user}pw", "::1", mariadb.port, "analytics"), poolclass=NullPool)


@pytest.mark.parametrize("user", READERS)
@pytest.mark.parametrize("asks", ["DESC `{}`", "SHOW FULL COLUMNS FROM `{}`"])
def test_a_client_is_told_the_columns_of_every_table_and_view(mariadb: MariaDB, user: str, asks: str) -> None:
    for table, names in columns(mariadb).items():
        assert [row[0] for row in asked(mariadb, user, asks.format(table))] == names


@pytest.mark.parametrize("user", READERS)
def test_information_schema_shows_every_column(mariadb: MariaDB, user: str) -> None:
    seen: dict[str, list[str]] = {}
    for table, column in asked(
        mariadb,
        user,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'analytics' "
        "ORDER BY table_name, ordinal_position",
    ):
        seen.setdefault(str(table), []).append(str(column))
    assert seen == columns(mariadb)


@pytest.mark.parametrize("user", READERS)
def test_sqlalchemy_reflects_every_table_and_view_and_reads_it(mariadb: MariaDB, user: str) -> None:
    """As pandas.read_sql_table does."""
    reader, expected = engine(mariadb, user), columns(mariadb)
    assert {*inspect(reader).get_table_names(), *inspect(reader).get_view_names()} == set(expected)
    with reader.connect() as connection:
        for name, names in expected.items():
            table = Table(name, MetaData(), autoload_with=connection)
            assert [column.name for column in table.columns] == names
            assert list(connection.execute(select(table).limit(1)).keys()) == names


def test_a_dump_by_user_holds_every_table_view_and_function(mariadb: MariaDB) -> None:
    program = binaries().mariadb.with_name("mariadb-dump")
    dump = program if program.is_file() else shutil.which("mariadb-dump")
    assert dump is not None
    done = subprocess.run(
        [
            *(dump, "--no-defaults", "--host=::1", f"--port={mariadb.port}", "--user=user", "--password=userpw"),
            *("--single-transaction", "--routines", "analytics"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for table in columns(mariadb):
        assert f"CREATE TABLE `{table}`" in done.stdout or f"VIEW `{table}` AS " in done.stdout, table
    functions = mariadb.execute(
        "SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'analytics'"
    ).split()[1:]
    assert functions
    assert all(f"FUNCTION `{function}`" in done.stdout for function in functions)


@pytest.mark.parametrize("statement", ["CALL locks.end_blocker(1)", "SELECT * FROM locks.blocker", "KILL 1"])
def test_a_reader_neither_sees_nor_ends_the_session_of_another(mariadb: MariaDB, statement: str) -> None:
    with pytest.raises(pymysql.MySQLError) as refused:
        asked(mariadb, "user", statement)
    assert refused.value.args[0] in {1044, 1094, 1095, 1142, 1370}
