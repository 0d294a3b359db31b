"""A batch into the database: all of it in one transaction, or nothing."""

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from analytics_service.dead_letters import LONGEST_REASON, DeadLetter
from analytics_service.ingest.batch import Batch, Fact
from analytics_service.ingest.bookmarks import lock
from analytics_service.ingest.local_infile import MemoryConnection, serve_from_memory
from analytics_service.ingest.recent import Recent
from analytics_service.ingest.rows import COLUMNS, Child
from analytics_service.stored import last_offsets
from shop.edges import database
from shop.edges.database import LOCK_WAIT_TIMEOUT
from shop.edges.settings import DatabaseSettings

# A writer that was stopped in mid-transaction must free its locks within 15 s; its successor waits a little longer.
# In the middle of a LOAD DATA, MariaDB 11.4 now and then waits for the time-out twice (seen: once in a hundred).
_SESSION = (
    "SET time_zone = '+00:00', idle_transaction_timeout = 15, net_read_timeout = 7, innodb_lock_wait_timeout = 20, "
    "lock_wait_timeout = 20"
)
REPLY_SECONDS = 30
ATTEMPTS = 5
DEADLOCK = 1213
DUPLICATE = 1062
CARTS_REMEMBERED, ADDRESSES_REMEMBERED = 2_000, 1_000
"""Full within minutes at the default rate, so that they soon stop growing. Most carts are seen only once."""

log = structlog.get_logger()


Refusal = tuple[Fact, str]
"""A fact, and why the database does not take it."""

Children = tuple[dict[str, Child], dict[str, Child]]
"""Carts and addresses by their keys."""


class Collision(Exception):
    """Somebody else has stored these partitions further: nothing was stored, and what is queued behind this batch
    must be discarded."""


class Refused(Exception):
    """The database would have stored something else than it was given: nothing was stored."""


def writer(settings: DatabaseSettings) -> Engine:
    """An engine for a ``Store``."""
    engine = database.create(settings, init_command=_SESSION, read_timeout=REPLY_SECONDS, write_timeout=REPLY_SECONDS)
    serve_from_memory(engine)
    return engine


class Store:
    """Stores batches; for one thread. It remembers which carts and addresses are stored already."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._carts = Recent(CARTS_REMEMBERED)
        self._addresses = Recent(ADDRESSES_REMEMBERED)

    def save(self, batch: Batch) -> int:
        """Stores the batch; returns how many of its facts the database refused, which are dead letters then.

        Raises Collision, or DBAPIError when the database does not answer. Blocks for as long as the database takes.
        """
        try:
            self._store(batch, batch.facts, batch.letters)
            return 0
        except Refused:
            facts, refused = self.bisect_refused(batch.facts)
        letters = [one.refused(f"the database refuses it: {reason}"[:LONGEST_REASON]) for one, reason in refused]
        self._store(batch, facts, batch.letters + letters)
        return len(refused)

    def bisect_refused(self, facts: Sequence[Fact]) -> tuple[list[Fact], list[Refusal]]:
        """The facts that the database takes, and the others with its reasons: found by halving. Stores nothing."""
        reason = self._refusal(facts)
        if reason is None:
            return list(facts), []
        if len(facts) == 1:
            return [], [(facts[0], reason)]
        middle = len(facts) // 2
        taken, refused = self.bisect_refused(facts[:middle])
        more_taken, more_refused = self.bisect_refused(facts[middle:])
        return taken + more_taken, refused + more_refused

    def store_redriven(self, facts: Sequence[Fact]) -> tuple[list[Fact], list[Refusal]]:
        """Stores facts of dead letters, and says which the database takes and which it refuses.

        Raises Collision when somebody else settles them, DBAPIError when the database does not answer.
        """
        taken, refused = self.bisect_refused(facts)
        with self._engine.begin() as connection:
            self._load(connection, taken)
        return taken, refused

    def forget(self) -> None:
        """Forgets what is stored: the database may be another one now."""
        self._carts.clear()
        self._addresses.clear()

    def _store(self, batch: Batch, facts: Sequence[Fact], letters: Sequence[DeadLetter]) -> None:
        """Stores these facts and dead letters as the batch, in one transaction.

        Tries ``ATTEMPTS`` times while somebody holds locks on it; without a pause, because each try waits by itself.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._engine.begin() as connection:
                    lock(connection, batch.predecessors)
                    _check(connection, batch)
                    carts, addresses = self._load(connection, facts)
                    _insert_dead_letters(connection, letters)
                break
            except DBAPIError as error:
                if database.error_code(error) not in {LOCK_WAIT_TIMEOUT, DEADLOCK} or attempt == ATTEMPTS:
                    raise
                log.warning("somebody holds locks, trying again", attempt=attempt, reason=str(error.orig))
        # Not before the commit: what is rolled back is not stored, and is read and said again.
        self._carts.add(carts)
        self._addresses.add(addresses)
        for one in letters:
            table = batch.tables[one.log_id]
            log.warning("dead letter", table=table, partition=one.partition, offset=one.offset, reason=one.reason)

    def _load(self, connection: Connection, facts: Sequence[Fact]) -> Children:
        """Stores these facts; returns the carts and addresses that are stored once this is committed."""
        carts: dict[str, Child] = {}
        addresses: dict[str, Child] = {}
        lines: dict[str, list[str]] = {}
        for table, line, cart, address, *_ in facts:
            if cart is not None and cart.key not in self._carts:
                carts[cart.key] = cart
            if address is not None and address.key not in self._addresses:
                addresses[address.key] = address
            lines.setdefault(table, []).append(line)
        _load_children(connection, "shipping_address", addresses)
        _load_children(connection, "cart_item", carts)
        for table in sorted(lines):
            if _load_lines(connection, table, lines[table], len(lines[table])):
                raise Collision(f"rows of these offsets are in table {table} already")
        return carts, addresses

    def _refusal(self, facts: Sequence[Fact]) -> str | None:
        """Why the database does not take these facts; None when it would. Stores nothing."""
        with self._engine.connect() as connection:
            try:
                self._load(connection, facts)
            except Refused as error:
                return str(error)
            finally:
                connection.rollback()
        return None


def _check(connection: Connection, batch: Batch) -> None:
    stored = last_offsets(connection, batch.predecessors, batch.tables)
    for partition, expected in batch.predecessors.items():
        if stored[partition] != expected:
            raise Collision(
                f"log {partition.log_id} partition {partition.number} is stored up to {stored[partition]}, "
                f"not {expected}"
            )


def _load_children(connection: Connection, table: str, children: dict[str, Child]) -> None:
    if children:
        # In order of their keys: two writers that insert the same keys in opposite orders would deadlock.
        ordered = [children[key] for key in sorted(children)]
        _load_lines(connection, table, [child.lines for child in ordered], sum(len(child.rows) for child in ordered))


def _load_lines(connection: Connection, table: str, lines: list[str], rows: int) -> int:
    """Loads the lines; returns how many rows were left out because their key is stored already.

    LOAD DATA LOCAL turns every error into a warning and stores NULL or a default: so each warning that is not a
    duplicate, and each row too many or too few, is an error here. A duplicate gives one warning and skips one row.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, MemoryConnection)
    driver.announce(table, "".join(lines).encode())
    connection.exec_driver_sql(_STATEMENTS[table])
    loaded = driver.loaded()
    if loaded.records != rows or loaded.warnings != loaded.skipped:
        raise Refused(_reason(connection, f"{loaded.records} rows of {rows}, {loaded.warnings} warnings"))
    return loaded.skipped


def _reason(connection: Connection, otherwise: str) -> str:
    for _level, code, message in connection.exec_driver_sql("SHOW WARNINGS"):
        if code != DUPLICATE:
            return str(message)
    return otherwise


def _insert_dead_letters(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    if letters:
        try:
            connection.execute(_NEW_DEAD_LETTER, [letter._asdict() for letter in letters])
        except IntegrityError as error:
            raise Collision(f"dead letters of these offsets are stored already: {error.orig}") from None


_STATEMENTS = {
    table: f"LOAD DATA LOCAL INFILE '{table}' INTO TABLE `{table}` CHARACTER SET utf8mb4 "
    rf"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ({columns})"
    for table, columns in COLUMNS.items()
}
_NEW_DEAD_LETTER = text(
    "INSERT INTO dead_letter (log_id, kafka_partition, kafka_offset, kafka_timestamp, reason, message_key, "
    "message_value, headers) VALUES (:log_id, :partition, :offset, :timestamp, :reason, :key, :value, :headers)"
)
