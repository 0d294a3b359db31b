"""Several writers of one database: who waits for whom, what is tried again. On the real MariaDB, without Kafka."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, ExceptionContext, TextClause, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from analytics_service.ingest.batch import Fact
from analytics_service.ingest.bookmarks import lock
from analytics_service.ingest.local_infile import serve_from_memory
from analytics_service.ingest.store import ATTEMPTS, DEADLOCK, Collision, Store
from local.mariadb import MariaDB
from shop.contract.events import Event
from shop.edges.database import LOCK_WAIT_TIMEOUT
from tests.analytics.world import wait
from tools.kit.batches import batch, facts, logs, number_of
from tools.kit.business import life

HELD_LINE = text("INSERT INTO cart_item VALUES (:key, :line, 'held', 1, 1)")
HELD_ADDRESS = text("INSERT INTO shipping_address VALUES (:key, 'held', 'held', 'held', 'held', 'DE')")
HELD_MESSAGE = text(
    "INSERT INTO dead_letter (log_id, kafka_partition, kafka_offset, reason) VALUES (:log_id, 0, 0, 'held')"
)


def waiting(mariadb: MariaDB) -> int:
    """How many transactions wait for a lock."""
    asked = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    return int(mariadb.execute(asked).split()[-1])


def deadlocks(mariadb: MariaDB) -> int:
    """How many the server has seen."""
    return int(mariadb.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").split()[-1])


def failures_of(engine: Engine, then: Callable[[int], None] = lambda _: None) -> list[int]:
    """The engine's errors from now on; ``then`` is told their number after each."""
    codes: list[int] = []

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        codes.append(context.original_exception.args[0])
        then(len(codes))

    return codes


@pytest.fixture
def impatient(engine: Engine) -> Iterator[Engine]:
    """The connections of a writer whose waits for a lock time out at once."""
    at_once = {"init_command": "SET innodb_lock_wait_timeout = 0", "password": "analyticspw"}
    made = create_engine(engine.url, isolation_level="READ COMMITTED", connect_args=at_once)
    serve_from_memory(made)
    yield made
    made.dispose()


# ---- who waits for whom ------------------------------------------------------------------------------------


@pytest.mark.claim(
    "a partition has one writer at a time: the lock on `log_partition`, taken before the check",
    section="analytics",
    tried="broken in 3 ways",
)
def test_a_partition_has_one_writer_at_a_time(engine: Engine, mariadb: MariaDB) -> None:
    """The second one does not look at what is stored before the first is done. The first stores as a dead letter what
    the second holds for a fact: no primary key would notice."""
    known = logs(engine)
    one = batch(known, facts(known, [next(life(1))]))
    with ThreadPoolExecutor() as pool, engine.connect() as first:
        lock(first, one.predecessors)
        second = pool.submit(Store(engine).save, one)
        wait(lambda: second.done() or waiting(mariadb), "the second writer")
        assert not second.done()
        first.execute(HELD_MESSAGE, {"log_id": known["checkout"]})
        first.commit()
        with pytest.raises(Collision, match="is stored up to 0, not -1"):
            second.result()
    assert number_of(engine, "checkout") == 0


@pytest.mark.claim("carts and addresses are loaded in the order of their keys", section="analytics", tried="broken")
@pytest.mark.parametrize(
    ("child", "step", "held"), [("cart", 0, HELD_LINE), ("address", 1, HELD_ADDRESS)], ids=["carts", "addresses"]
)
def test_carts_and_addresses_in_opposite_orders_do_not_deadlock(
    engine: Engine, mariadb: MariaDB, child: str, step: int, held: TextClause
) -> None:
    """Of three keys a third writer holds the middle one. Whoever loads in the order of the messages holds an end by
    then, and wants the other end next."""
    known = logs(engine)
    events = [list(life(number))[step] for number in range(3)]

    def key(row: Fact) -> str:
        return str(getattr(row, child).key)

    rows = [sorted(facts(known, events, partition), key=key, reverse=partition == 1) for partition in (0, 1)]
    before = deadlocks(mariadb)
    with ThreadPoolExecutor() as pool, engine.connect() as third:
        third.execute(held, {"key": key(rows[0][1]), "line": 1})
        writers = [
            pool.submit(Store(engine).save, batch(known, rows[partition], partition=partition))
            for partition in (0, 1)
        ]
        wait(lambda: waiting(mariadb) == 2, "both writers")
        third.commit()
        assert [writer.result() for writer in writers] == [0, 0]
    assert deadlocks(mariadb) == before
    assert number_of(engine, "checkout") == 6


def test_two_writers_of_the_same_carts_do_not_stop_each_other(engine: Engine) -> None:
    known = logs(engine)
    shared = [next(life(number)) for number in range(400)]
    failures: list[Exception] = []

    def write(partition: int, order: list[Event]) -> None:
        store = Store(engine)
        try:
            for at in range(0, 400, 40):
                rows = facts(known, order[at : at + 40], partition, first=at)
                store.save(batch(known, rows, at - 1, partition))
        except Exception as error:
            failures.append(error)

    writers = [
        threading.Thread(target=write, args=(0, shared)),
        threading.Thread(target=write, args=(1, shared[::-1])),
    ]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert failures == []
    assert number_of(engine, "checkout") == 800


# ---- what is tried again -----------------------------------------------------------------------------------


@pytest.mark.claim(
    "a lock wait that times out (1205) is retried a limited number of times", section="analytics", tried="broken"
)
def test_a_wait_for_a_lock_that_times_out_is_tried_again(engine: Engine, impatient: Engine) -> None:
    known = logs(engine)
    one = batch(known, facts(known, life(1)))
    with engine.connect() as other:
        lock(other, one.predecessors)
        failures = failures_of(impatient, then=lambda _: other.rollback())
        assert Store(impatient).save(one) == 0
    assert failures == [LOCK_WAIT_TIMEOUT]
    assert number_of(engine, "checkout") == 4


@pytest.mark.claim(
    "a lock wait that times out (1205) is retried a limited number of times", section="analytics", tried="broken"
)
def test_a_lock_that_never_comes_free_is_given_up(engine: Engine, impatient: Engine) -> None:
    known = logs(engine)
    one = batch(known, facts(known, life(1)))
    failures = failures_of(impatient)
    with engine.connect() as other:
        lock(other, one.predecessors)
        with pytest.raises(DBAPIError):
            Store(impatient).save(one)
    assert failures == [LOCK_WAIT_TIMEOUT] * ATTEMPTS


def test_a_row_is_refused_even_after_long_waits_for_a_lock(engine: Engine, impatient: Engine) -> None:
    known = logs(engine)
    (row,) = facts(known, [next(life(1))])
    one = batch(known, [row._replace(line=row.line.replace("\tcreated\t", "\tlost\t"))])
    with engine.connect() as other:
        lock(other, one.predecessors)

        def end(failures: int) -> None:
            if failures == ATTEMPTS - 1:
                other.rollback()

        failures = failures_of(impatient, then=end)
        assert Store(impatient).save(one) == 1
    assert len(failures) == ATTEMPTS - 1
    assert number_of(engine, "dead_letter") == 1


@pytest.mark.claim("a deadlock (1213) is retried", section="analytics", tried="broken")
def test_a_deadlock_is_tried_again(engine: Engine, mariadb: MariaDB) -> None:
    known = logs(engine)
    (row,) = facts(known, [next(life(1))])
    one = batch(known, [row])
    assert row.cart is not None
    failures = failures_of(engine)
    with ThreadPoolExecutor() as pool, engine.connect() as other:
        # More rows than the batch has: the server ends the transaction that has done less.
        other.execute(HELD_LINE, [{"key": row.cart.key, "line": line} for line in range(1, 100)])
        saved = pool.submit(Store(engine).save, one)
        wait(lambda: waiting(mariadb) == 1, "the batch to want the cart")
        lock(other, one.predecessors)
        other.rollback()
        assert saved.result() == 0
    assert failures == [DEADLOCK]
    assert (number_of(engine, "checkout"), number_of(engine, "cart_item")) == (1, len(row.cart.rows))


@pytest.mark.claim(
    "what is stored is remembered only after the commit", section="analytics", tried="broken in 2 ways"
)
def test_carts_and_addresses_that_were_rolled_back_are_loaded_again(engine: Engine, mariadb: MariaDB) -> None:
    """The last that can go wrong does, when all is loaded: the connection is lost on the way to the commit."""
    known, store = logs(engine), Store(engine)
    one = batch(known, facts(known, life(1)))

    @event.listens_for(engine, "commit", once=True)
    def lose(connection: Connection) -> None:
        number = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
        mariadb.execute(f"KILL {number}")
        wait(lambda: f"\n{number}\t" not in mariadb.execute("SHOW PROCESSLIST"), "the end of the connection")

    with pytest.raises(DBAPIError):
        store.save(one)
    assert number_of(engine, "checkout") == 0
    assert store.save(one) == 0
    assert (number_of(engine, "cart_item"), number_of(engine, "shipping_address")) == (2, 1)
