"""A batch is stored whole and as it is, or not at all: on the real MariaDB, without Kafka."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from analytics_service.ingest.batch import Fact
from analytics_service.ingest.loader import Loader
from analytics_service.ingest.rows import COLUMNS, NULL
from analytics_service.ingest.store import Collision, Store
from analytics_service.stored import LogPartition
from local.mariadb import MariaDB
from shop.contract.events import CartItem, Checkout, Event, Fulfillment, Order, ShippingAddress, parse, serialize
from shop.contract.lifecycle import CheckoutStatus, FulfillmentStatus, OrderStatus
from tests.analytics.world import wait
from tests.examples import scaled
from tools.kit.batches import batch, facts, logs, number_of
from tools.kit.business import life
from tools.kit.rebuild import rebuild

FAST = settings(max_examples=scaled(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# ---- every message can be rebuilt --------------------------------------------------------------------------

ids = st.one_of(
    st.uuids(version=4).map(str),
    st.builds(
        lambda head, version, body, variant, tail: (
            f"{head[:8]}-{head[8:]}-{version}{body}-{variant}{tail[:2]}-{tail[2:]}"
        ),
        st.text("0123456789abcdef", min_size=12, max_size=12),
        st.integers(1, 8),
        st.text("0123456789abcdef", min_size=3, max_size=3),
        st.sampled_from(["81", "90", "9f", "a0", "bf"]),
        st.text("0123456789abcdef", min_size=14, max_size=14),
    ),
)
times = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)).map(
    lambda t: t.replace(tzinfo=UTC)
)
nasty = st.sampled_from(
    ["\t", "\n", "\r", "\\", "\0", "\\N", "N", "NULL", "'", '"', "\x1a", "\b", "é", "\U0001d11e", "\u200d", " "]
)


def words(max_length: int) -> st.SearchStrategy[str]:
    """Text of up to ``max_length`` characters, of all planes, with what a text format could stumble over."""
    letters = st.one_of(nasty, st.characters(exclude_categories=["Cs"]))
    return st.one_of(
        st.lists(letters, min_size=1, max_size=8).map(lambda parts: "".join(parts)[:max_length]),
        st.sampled_from(["\U0001f6d2", "x", "\\", " "]).map(lambda letter: letter * max_length),
    )


def money(digits: int) -> st.SearchStrategy[Decimal]:
    """Amounts with two decimals, up to the bound."""
    return st.integers(0, 10**digits - 1).map(lambda cents: Decimal(cents).scaleb(-2))


addresses = st.builds(
    ShippingAddress,
    name=words(100),
    street=words(200),
    zip=words(16),
    city=words(100),
    country=st.text("ABCXYZ", min_size=2, max_size=2),
)
items = st.builds(CartItem, product_id=words(64), quantity=st.integers(1, 65_535), price=money(10))
carts = st.one_of(st.lists(items, min_size=1, max_size=4).map(tuple), items.map(lambda item: (item,) * 255))
purchase = {
    "checkout_id": ids,
    "user_id": ids,
    "cart_items": carts,
    "total_amount": money(12),
    "currency": st.text("ABCXYZ", min_size=3, max_size=3),
    "created_at": times,
    "updated_at": st.none() | times,
}
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Checkout,
        payment_method=st.none(),
        shipping_address=st.none(),
        status=st.just(CheckoutStatus.CREATED),
        **purchase,
    ),
    st.builds(
        Checkout,
        payment_method=words(32),
        shipping_address=addresses,
        status=st.sampled_from(CheckoutStatus),
        **purchase,
    ),
    st.builds(
        Order,
        order_id=ids,
        payment_method=words(32),
        shipping_address=addresses,
        status=st.sampled_from(OrderStatus),
        **purchase,
    ),
    st.builds(
        Fulfillment,
        fulfillment_id=ids,
        order_id=ids,
        status=st.sampled_from(FulfillmentStatus),
        created_at=times,
        updated_at=st.none() | times,
    ),
)


@pytest.mark.claim("every message comes back from the rows, field for field", section="analytics", tried="not broken")
def test_every_event_comes_back_field_for_field(engine: Engine) -> None:
    known = logs(engine)
    store = Store(engine)
    last = dict.fromkeys(known, -1)

    @FAST
    @given(st.lists(events, min_size=1, max_size=20))
    def round_trip(written: list[Event]) -> None:
        for topic, log_id in known.items():
            some = [parse(topic, serialize(event)) for event in written if event.topic == topic]
            if not some:
                continue
            first = last[topic] + 1
            assert store.save(batch(known, facts(known, some, first=first), last[topic])) == 0
            last[topic] += len(some)
            with engine.connect() as connection:
                read = list(rebuild(connection, topic, LogPartition(log_id, 0), first))
            assert [event for _, _, event in read] == some
            assert [offset for offset, _, _ in read] == list(range(first, first + len(some)))
            assert {timestamp.isoformat() for _, timestamp, _ in read} == {"2027-01-15T08:00:00.123000+00:00"}

    round_trip()


# ---- all or nothing ----------------------------------------------------------------------------------------


def test_carts_and_addresses_are_stored_once(engine: Engine) -> None:
    known, store = logs(engine), Store(engine)
    store.save(batch(known, facts(known, life(42))))
    lines, shipped = number_of(engine, "cart_item"), number_of(engine, "shipping_address")
    assert (lines, shipped) == (1 + 42 % 4, 1)
    # Another writer does not know that they are stored, and writes them again.
    Store(engine).save(batch(known, facts(known, life(42), partition=1), partition=1))
    assert (number_of(engine, "cart_item"), number_of(engine, "shipping_address")) == (lines, shipped)


@pytest.mark.claim("a batch that does not follow on what is stored is refused", section="analytics", tried="broken")
def test_a_batch_that_does_not_follow_on_is_refused(engine: Engine) -> None:
    known, store = logs(engine), Store(engine)
    with pytest.raises(Collision, match="stored up to -1, not 4"):
        store.save(batch(known, facts(known, life(1), first=5), last=4))
    store.save(batch(known, facts(known, life(1))))
    before = number_of(engine, "checkout")
    with pytest.raises(Collision, match="is stored up to"):
        store.save(batch(known, facts(known, life(2))))
    assert number_of(engine, "checkout") == before
    assert number_of(engine, "cart_item") == 2


@pytest.mark.claim("rows that are there already are a collision", section="analytics", tried="broken")
def test_rows_that_are_there_already_are_a_collision(engine: Engine) -> None:
    """Should the check of predecessors ever fail to notice, the primary key does."""
    known, store = logs(engine), Store(engine)
    store.save(batch(known, facts(known, life(1))))
    again = batch(known, facts(known, life(1)))
    again.predecessors.clear()
    again.predecessors[LogPartition(known["checkout"], 1)] = -1
    with pytest.raises(Collision, match="already"):
        store.save(again)


@pytest.mark.claim("nothing queued behind a collision is stored", section="analytics", tried="broken")
def test_nothing_queued_behind_a_collision_is_stored(engine: Engine) -> None:
    """A zombie: its successor has stored more than the first of its queued batches, and then just so much that the
    last of them would fit again, behind a gap."""
    known = logs(engine)
    created = [next(life(number)) for number in range(12)]
    rows = facts(known, created)
    queued = [batch(known, rows[at : at + 3], last=at - 1) for at in (0, 3, 6, 9)]
    successor, zombie = Store(engine), Loader(Store(engine), dict, queued=8)
    successor.save(batch(known, rows[:3]))
    for one in queued:
        assert zombie.put(one, 0)
    zombie.start()
    wait(lambda: zombie.failure is not None, "the collision")
    assert isinstance(zombie.failure, Collision)
    successor.save(batch(known, rows[3:9], last=2))
    assert zombie.finish(10)
    assert number_of(engine, "checkout") == 9
    assert zombie.stored() is None


@pytest.mark.claim(
    "messages of a recreated topic are not stored as the old one's", section="analytics", tried="broken"
)
def test_a_recreated_topic_is_noticed_before_its_messages_are_stored(engine: Engine) -> None:
    known = logs(engine)
    loader = Loader(Store(engine), lambda: {"checkout": "another-id"}, queued=2)
    loader.start()
    one = batch(known, facts(known, life(1)))
    one.topic_ids = {"checkout": "checkout-id"}
    loader.put(one, 0)
    wait(lambda: loader.failure is not None, "the collision")
    assert "recreated" in str(loader.failure)
    assert number_of(engine, "checkout") == 0
    loader.finish(5)


def test_of_a_stale_generation_nothing_is_stored(engine: Engine) -> None:
    known = logs(engine)
    loader = Loader(Store(engine), dict, queued=2)
    loader.discard(2)
    loader.put(batch(known, facts(known, life(1)), generation=1), 0)
    loader.put(batch(known, facts(known, life(2)), generation=2), 0)
    loader.start()
    assert loader.finish(10)
    stored = loader.stored()
    assert stored is not None
    assert stored.generation == 2
    assert loader.stored() is None


# ---- what the database refuses -----------------------------------------------------------------------------


def forged(row: Fact, column: str, value: str) -> Fact:
    """A fact that the contract would never let pass."""
    fields = row.line.removesuffix("\n").split("\t")
    fields[COLUMNS[row.table].split(", ").index(column)] = value
    return row._replace(line="\t".join(fields) + "\n")


@pytest.mark.claim("a row that the database would change becomes a dead letter", section="analytics", tried="broken")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        # Valid for RFC 9562 and yet refused by MariaDB: byte 6 is 0x8., byte 8 is 0x80.
        ("checkout_id", "01a3185c-5038-808a-8022-a093d84b2498"),
        ("checkout_id", ""),
        ("payment_method", "x" * 33),
        ("status", "CheckoutLost"),
        ("currency", "EURO"),
        ("created_at", "2027-02-30 08:00:00"),
        ("total_amount", "forty-nine"),
        ("total_amount", "0.001"),
        ("total_amount", "10000000000.00"),
        ("user_id", NULL),
        ("updated_at", "2027-01-15 08:00:00.000000\tone column too many"),
    ],
)
def test_a_row_that_would_change_on_its_way_is_a_dead_letter(engine: Engine, column: str, value: str) -> None:
    known, store = logs(engine), Store(engine)
    rows = facts(known, [next(life(number)) for number in range(20)])
    rows[7] = forged(rows[7], column, value)
    assert store.save(batch(known, rows)) == 1
    assert number_of(engine, "checkout") == 19
    with engine.connect() as connection:
        letter = connection.execute(text("SELECT * FROM dead_letter")).one()
    assert letter.kafka_offset == 7
    assert letter.reason.startswith("the database refuses it: ")
    assert letter.message_value == serialize(next(life(7)))


def test_a_cart_line_that_would_change_takes_its_message_along(engine: Engine) -> None:
    known, store = logs(engine), Store(engine)
    rows = facts(known, life(3))
    cart = rows[0].cart
    assert cart is not None
    bad = cart._replace(rows=[line.replace("\t19.9\n", "\t99999999999.9\n") for line in cart.rows])
    assert store.save(batch(known, [rows[0]._replace(cart=bad)])) == 1
    assert number_of(engine, "cart_item") == 0
    assert number_of(engine, "dead_letter") == 1


def test_a_missing_table_stores_nothing(engine: Engine, mariadb: MariaDB) -> None:
    known, store = logs(engine), Store(engine)
    mariadb.execute(f"USE {engine.url.database}; RENAME TABLE fulfillment TO gone;")
    try:
        with pytest.raises(DBAPIError):
            store.save(batch(known, facts(known, life(14))))
    finally:
        mariadb.execute(f"USE {engine.url.database}; RENAME TABLE gone TO fulfillment;")
    assert number_of(engine, "checkout") == 0
    assert number_of(engine, "cart_item") == 0


def test_dead_letters_in_the_way_are_a_collision(engine: Engine) -> None:
    known, store = logs(engine), Store(engine)
    row = facts(known, [next(life(1))])[0]
    first = batch(known, [])
    first.letters.append(row.refused("a test"))
    first.predecessors[LogPartition(row.log_id, 0)] = -1
    store.save(first)
    with pytest.raises(Collision):
        store.save(batch(known, [row]))
    assert number_of(engine, "dead_letter") == 1
    assert number_of(engine, "checkout") == 0
