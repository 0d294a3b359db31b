"""MariaDB through SQLAlchemy and PyMySQL: one place that knows how to connect and which errors end by themselves."""

from collections.abc import Callable, Mapping

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from shop.edges import ipv6
from shop.edges.settings import DatabaseSettings
from shop.runtime.backoff import BackOff
from shop.runtime.errors import Unavailable, UserError

CONNECT_SECONDS = 5
REPLY_SECONDS = 60
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
LOCK_WAIT_TIMEOUT = 1205

_WHAT_TO_DO: Mapping[int, str] = {
    1044: "grant it (sql/), or set MARIADB_USER and MARIADB_DATABASE",
    1045: "set MARIADB_USER and MARIADB_PASSWORD",
    1049: "set MARIADB_DATABASE, or load sql/ first",
    1142: "grant it (sql/)",
    1146: "load sql/ first",
    1305: "load sql/ first",
    1370: "grant it (sql/)",
    1698: "set MARIADB_USER and MARIADB_PASSWORD",
    3159: "set MARIADB_TLS=1",
}
"""Server errors that only a person can mend."""

log = structlog.get_logger()


def address(settings: DatabaseSettings) -> str:
    """Where the database is, for messages to people; never holds the password."""
    return f"[{settings.mariadb_host}]:{settings.mariadb_port}/{settings.mariadb_database}"


def create(settings: DatabaseSettings, **connect: object) -> Engine:
    """An engine that connects on first use, in UTC and READ COMMITTED, and checks a pooled connection before use.

    Raises UserError where the address is one of IPv6, and that is off here.
    """
    ipv6.require("MARIADB_HOST", settings.mariadb_host)
    return create_engine(
        URL.create(
            "mysql+pymysql",
            username=settings.mariadb_user,
            host=settings.mariadb_host,
            port=settings.mariadb_port,
            database=settings.mariadb_database,
            query={"charset": "utf8mb4"},
        ),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        connect_args={
            # As bytes, because PyMySQL takes a text for Latin-1.
            "password": settings.mariadb_password.encode(),
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": REPLY_SECONDS,
            "write_timeout": REPLY_SECONDS,
            "init_command": "SET time_zone = '+00:00'",
            "ssl_disabled": not settings.mariadb_tls,
            **connect,
        },
    )


def error_code(error: DBAPIError) -> int:
    """The server's or client's error number, 0 where there is none."""
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def explain(error: DBAPIError, settings: DatabaseSettings) -> Unavailable | UserError:
    """What a database error means to the process: something to wait for, or something to mend."""
    code = error_code(error)
    if code in _WHAT_TO_DO:
        reason = str(error.orig.args[1]) if error.orig else str(error)
        return UserError(f"MariaDB at {address(settings)} refuses: {reason}; {_WHAT_TO_DO[code]}")
    happens = "keeps us waiting for a lock" if code == LOCK_WAIT_TIMEOUT else "does not answer"
    return Unavailable(f"MariaDB at {address(settings)} {happens}: {error.orig}")


def wait_until_ready(
    engine: Engine, settings: DatabaseSettings, stop: Callable[[], bool], sleep: Callable[[float], None]
) -> None:
    """Blocks until the database answers or ``stop`` says so; says what it waits for.

    Raises UserError for what waiting does not mend: a wrong password, a missing database.
    """
    pause = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
    while not stop():
        try:
            with engine.connect() as connection:
                _ping(connection)
            return
        except DBAPIError as error:
            reason = explain(error, settings)
            if isinstance(reason, UserError):
                raise reason from None
            seconds = pause()
            log.warning("waiting for MariaDB", address=address(settings), seconds=seconds, reason=str(error.orig))
            sleep(seconds)


def _ping(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))
