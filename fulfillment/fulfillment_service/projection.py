"""The table ``fulfillment.fulfillment``: what the topic says of each fulfillment, for people to query."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.exc import DBAPIError

from shop.contract.events import Fulfillment, parse
from shop.contract.lifecycle import FULFILLMENT, FulfillmentStatus
from shop.edges.database import create, explain, wait_until_ready
from shop.edges.settings import DatabaseSettings
from shop.runtime.clock import timestamp
from shop.runtime.entity import Entity
from shop.runtime.log import Record

# A row moves forward only (an ENUM's number is its place in the life of a fulfillment), so that neither a repeated
# batch nor a late one of a stopped instance can take it back. The id is compared because the order's id is unique
# too: a foreign fulfillment of the same order must not change the row of ours.
STORE = text(
    """
    INSERT INTO fulfillment (fulfillment_id, order_id, status, created_at, updated_at)
    VALUES (:fulfillment_id, :order_id, :status, :created_at, :updated_at)
    ON DUPLICATE KEY UPDATE
      updated_at = IF(fulfillment_id = VALUES(fulfillment_id) AND VALUES(status) + 0 > status + 0,
                      VALUES(updated_at), updated_at),
      status = IF(fulfillment_id = VALUES(fulfillment_id) AND VALUES(status) + 0 > status + 0,
                  VALUES(status), status)
    """
)
SHOWN = text("SELECT fulfillment_id, status FROM fulfillment WHERE fulfillment_id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)


_SESSION = "SET time_zone = '+00:00', innodb_lock_wait_timeout = 5, lock_wait_timeout = 5"
REPLY_SECONDS = 10
"""Longer than the server waits for a lock: it is the server that gives up, and leaves no statement behind."""


def writer(settings: DatabaseSettings) -> Engine:
    """An engine for a ``FulfillmentTable``."""
    return create(settings, init_command=_SESSION, read_timeout=REPLY_SECONDS)


class FulfillmentTable:
    """Writes the events that the service reads back from its output topic, never what is not published yet."""

    def __init__(self, engine: Engine, settings: DatabaseSettings) -> None:
        self._engine = engine
        self._settings = settings
        self.batches = 0
        """How many were stored."""

    def wait_until_ready(self, stop: Callable[[], bool]) -> None:
        """Blocks until the database answers; raises UserError when it refuses the service."""
        wait_until_ready(self._engine, self._settings, stop, time.sleep)

    def apply(self, latest: Sequence[tuple[Record, Entity]]) -> None:
        """Stores all of them in one transaction. Blocks for seconds at most; raises Unavailable when the database
        does not answer, UserError when it refuses the service."""
        events = [_event(record) for record, _ in latest]
        try:
            with self._engine.begin() as connection:
                rows = [_row(event) for event in _news(connection, events)]
                if rows:
                    connection.execute(STORE, rows)
            self.batches += 1
        except DBAPIError as error:
            raise explain(error, self._settings) from None


def _news(connection: Connection, events: Sequence[Fulfillment]) -> list[Fulfillment]:
    """Those that the table does not show yet. After a restore it shows nearly all of them, and to find that out takes
    a third of the time of storing them again."""
    ids = [event.fulfillment_id for event in events]
    shown = {name: FulfillmentStatus(status) for name, status in connection.execute(SHOWN, {"ids": ids})}
    return [
        event
        for event in events
        if event.fulfillment_id not in shown or not FULFILLMENT.reaches(event.status, shown[event.fulfillment_id])
    ]


def _event(record: Record) -> Fulfillment:
    event = parse(Fulfillment.topic, record.value)
    assert isinstance(event, Fulfillment)
    return event if event.updated_at else event.model_copy(update={"updated_at": timestamp(record.timestamp)})


def _row(event: Fulfillment) -> dict[str, object]:
    return {
        "fulfillment_id": event.fulfillment_id,
        "order_id": event.order_id,
        "status": str(event.status),
        "created_at": event.created_at,
        "updated_at": event.updated_at,
    }
