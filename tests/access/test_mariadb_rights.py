"""Who may do what in the database: each cell of the table is tried on a real one. Nothing is changed by that."""

from collections.abc import Iterator

import pymysql
import pytest

from local.mariadb import MariaDB

DENIED = {
    1044: "access to the database",
    1045: "login",
    1142: "command on the table",
    1227: "privilege",
    1698: "login without a password",
}
ANALYTICS_TABLES = (
    "checkout", "order", "fulfillment", "cart_item", "shipping_address", "dead_letter", "kafka_log", "log_partition",
    "accepted_loss",
)  # fmt: skip
# s = SELECT, i = INSERT, u = UPDATE, d = DELETE, - = refused
RIGHTS = {
    # user          every table of analytics, the one of fulfillment
    "user": ("s---", "----"),
    "analytics": ("si--", "----"),
    "fulfillment": ("----", "siu-"),
    "auditor": ("s---", "s---"),
}


class Tables:
    """Both databases, each user with a connection of his own to them."""

    def __init__(self, mariadb: MariaDB) -> None:
        self._port = mariadb.port
        self._connections: dict[str, pymysql.Connection[pymysql.cursors.Cursor]] = {}
        told = mariadb.execute(
            "SELECT CONCAT(table_schema, '.', table_name), column_name FROM information_schema.columns "
            "WHERE table_schema IN ('analytics', 'fulfillment') AND ordinal_position = 1"
        )
        self._columns = dict(line.split("\t") for line in told.splitlines()[1:])

    def allow(self, user: str, statement: str) -> bool:
        """Whether the user may do this."""
        if user not in self._connections:
            connection = pymysql.connect(host="::1", port=self._port, user=user, password=f"{user}pw")
            self._connections[user] = connection
        try:
            with self._connections[user].cursor() as cursor:
                cursor.execute(statement)
        except pymysql.MySQLError as refused:
            if refused.args[0] not in DENIED:
                raise
            return False
        return True

    def rights(self, user: str, table: str) -> str:
        """What of select, insert, update and delete the user may do to the table."""
        at, column = f"`{table.replace('.', '`.`')}`", self._columns[table]
        tried = {
            "s": f"SELECT 1 FROM {at} LIMIT 0",
            "i": f"INSERT INTO {at} SELECT * FROM {at} WHERE FALSE",
            "u": f"UPDATE {at} SET {column} = {column} WHERE FALSE",
            "d": f"DELETE FROM {at} WHERE FALSE",
        }
        return "".join(verb if self.allow(user, statement) else "-" for verb, statement in tried.items())

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


@pytest.fixture(scope="module")
def tables(mariadb: MariaDB) -> Iterator[Tables]:
    tables = Tables(mariadb)
    yield tables
    tables.close()


@pytest.mark.parametrize("table", ANALYTICS_TABLES)
@pytest.mark.parametrize("user", RIGHTS)
def test_nobody_changes_a_row_of_analytics_and_only_analytics_adds_one(tables: Tables, user: str, table: str) -> None:
    assert tables.rights(user, f"analytics.{table}") == RIGHTS[user][0]


@pytest.mark.parametrize("user", RIGHTS)
def test_the_table_of_fulfillment_is_its_own(tables: Tables, user: str) -> None:
    assert tables.rights(user, "fulfillment.fulfillment") == RIGHTS[user][1]


@pytest.mark.parametrize("user", RIGHTS)
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE analytics.checkout",
        "CREATE TABLE analytics.another (one INT)",
        "CREATE DATABASE another",
        "CREATE USER another",
        "TRUNCATE TABLE fulfillment.fulfillment",
        "SELECT * FROM mysql.global_priv",
        "SET GLOBAL max_connections = 10",
    ],
)
def test_nobody_but_root_changes_tables_users_or_the_server(tables: Tables, user: str, statement: str) -> None:
    assert not tables.allow(user, statement)


@pytest.mark.parametrize("name", ["root", "", "anonymous"])
@pytest.mark.parametrize("password", ["", "root", "userpw"])
def test_neither_root_nor_a_stranger_comes_in_over_the_network(mariadb: MariaDB, name: str, password: str) -> None:
    with pytest.raises(pymysql.MySQLError) as refused:
        pymysql.connect(host="::1", port=mariadb.port, user=name or "nobody", password=password)
    assert refused.value.args[0] in DENIED
