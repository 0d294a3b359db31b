"""The fulfillment table on a real database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, text

from fulfillment_service.projection import FulfillmentTable
from fulfillment_service.settings import FulfillmentSettings
from local.mariadb import MariaDB
from shop.contract.events import Fulfillment, serialize
from shop.contract.ids import fulfillment_id_of, order_id_of
from shop.contract.lifecycle import FulfillmentStatus
from shop.edges import database
from shop.runtime.entity import Entity
from shop.runtime.log import Record
from tools.kit import databases
from tools.kit.samples import START, checkout

SHIPPED, DELIVERED = FulfillmentStatus.SHIPPED, FulfillmentStatus.DELIVERED
ORDERS = 30


@pytest.fixture(scope="module")
def settings(mariadb: MariaDB) -> Iterator[FulfillmentSettings]:
    names = databases.create(mariadb, "projection")
    yield FulfillmentSettings(mariadb_port=mariadb.port, mariadb_database=names.fulfillment)
    names.drop(mariadb)


@pytest.fixture
def engine(settings: FulfillmentSettings, mariadb: MariaDB) -> Iterator[Engine]:
    """Connections to an empty table."""
    mariadb.execute(f"DELETE FROM {settings.mariadb_database}.fulfillment;")
    made = database.create(settings)
    yield made
    made.dispose()


def events(status: FulfillmentStatus, *orders: int) -> list[tuple[Record, Entity]]:
    found = []
    for offset, number in enumerate(orders):
        order_id = order_id_of(checkout(number).checkout_id)
        value = serialize(
            Fulfillment(
                fulfillment_id=fulfillment_id_of(order_id), order_id=order_id, status=status, created_at=START
            )
        )
        record = Record("fulfillment", 0, offset, START.timestamp(), order_id.encode(), value)
        found.append((record, Entity(order_id)))
    return found


def statuses(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT status FROM fulfillment ORDER BY order_id")))


def test_rows_only_move_forward_also_within_a_batch(settings: FulfillmentSettings, engine: Engine) -> None:
    table = FulfillmentTable(engine, settings)
    table.apply(events(SHIPPED, 0, 1) + events(DELIVERED, 0))
    assert statuses(engine) == [DELIVERED, SHIPPED]
    table.apply(events(SHIPPED, 0, 1))
    assert statuses(engine) == [DELIVERED, SHIPPED]
    table.apply(events(DELIVERED, 1) + events(SHIPPED, 1))
    assert statuses(engine) == [DELIVERED, DELIVERED]


def test_what_the_table_shows_is_not_stored_again(settings: FulfillmentSettings, engine: Engine) -> None:
    """A restore reads again what the table shows already; to write it again would take most of its time."""
    table = FulfillmentTable(engine, settings)
    stored: list[int] = []

    @event.listens_for(engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, statement: str, rows: object, *_: object) -> None:
        if "INSERT" in statement:
            stored.append(len(rows) if isinstance(rows, list) else 1)

    orders = range(ORDERS)
    table.apply(events(SHIPPED, *orders) + events(DELIVERED, *orders[1:]))
    table.apply(events(SHIPPED, *orders))
    table.apply(events(DELIVERED, *orders))
    assert stored == [2 * ORDERS - 1, 1]
