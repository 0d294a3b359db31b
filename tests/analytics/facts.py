"""Facts made by hand at a known time, and what the KPI views say of them then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, text

from analytics_service.kpi import kpis
from shop.contract.ids import fulfillment_id_of, order_id_of, time_ordered_id

NOW = datetime(2027, 1, 15, 9, 0, 0)
"""When the views are asked (UTC). ``at`` below: so many seconds before."""
LOGS = {"checkout": 1, "order": 2, "fulfillment": 3}
ADDRESSES = {"DE": 1, "FR": 2}
"""The addresses that there are, by country."""


def time(at: float) -> datetime:
    return NOW - timedelta(seconds=at)


def identifier(number: int) -> str:
    """The id of that checkout: a young one, made a minute before; of negative numbers an old one, of a day before."""
    age = timedelta(minutes=1) if number >= 0 else timedelta(days=1)
    milliseconds = int((NOW - age).replace(tzinfo=UTC).timestamp() * 1000)
    return time_ordered_id(milliseconds, abs(number))


@dataclass
class Facts:
    """The rows of an analytics database, which its writer inserts and ``user`` reads."""

    writer: Engine
    port: int
    database: str
    _offsets: Iterator[int] = field(default_factory=count)

    def checkout(self, number: int, *events: tuple[str, float], key: str | None = None, **columns: object) -> None:
        """Messages of one checkout, each a status and its time; the first is what it was created with."""
        for status, at in events:
            self._insert(
                "checkout", status, at, events, {"checkout_id": key or identifier(number), **self._cart(columns)}
            )

    def order(self, number: int, *events: tuple[str, float], **columns: object) -> None:
        """Messages of one order, likewise."""
        ids = {"order_id": order_id_of(identifier(number)), "checkout_id": identifier(number)}
        more = {"payment_method": "invoice", "address_id": _id(ADDRESSES["DE"])}
        for status, at in events:
            self._insert("order", status, at, events, {**ids, **more, **self._cart(columns)})

    def fulfillment(self, number: int, *events: tuple[str, float], **columns: object) -> None:
        """Messages of the fulfillment of one order, likewise."""
        order_id = order_id_of(identifier(number))
        for status, at in events:
            ids = {"order_id": order_id, "fulfillment_id": fulfillment_id_of(order_id)}
            self._insert("fulfillment", status, at, events, {**ids, **columns})

    def cart(self, number: int, *lines: tuple[str, int, str]) -> str:
        """Stores a cart of product, quantity and price; returns its id."""
        for line, (product, quantity, price) in enumerate(lines, 1):
            row = {
                "cart_id": _id(number),
                "line_no": line,
                "product_id": product,
                "quantity": quantity,
                "price": price,
            }
            self.insert("cart_item", row)
        return _id(number)

    def address(self, country: str) -> str:
        """Stores an address; returns its id."""
        row = {"address_id": _id(ADDRESSES[country]), "country": country}
        self.insert("shipping_address", {**row, **dict.fromkeys(("name", "street", "zip", "city"), "x")})
        return _id(ADDRESSES[country])

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        with self.writer.begin() as connection:
            connection.execute(text(f"INSERT INTO `{table}` ({names}) VALUES ({values})"), dict(row))

    def read(self, window: int = 600, zone: str = "+00:00") -> kpis.Kpis:
        """What all views say to ``user`` now, in a session of that time zone."""
        url = URL.create("mysql+pymysql", "user", "userpw", "::1", self.port, self.database)
        with create_engine(url, poolclass=NullPool).connect() as connection:
            now = NOW.replace(tzinfo=UTC).timestamp()
            connection.execute(text("SET time_zone = :zone, timestamp = :now"), {"zone": zone, "now": now})
            return kpis.read(connection, window, None, kpis.ALL)

    def view(self, name: str, window: int = 600) -> list[dict[str, Any]]:
        """The rows of one view as ``kpi --json`` shows them."""
        found = self.read(window).as_json()[name]
        return found if isinstance(found, list) else [found]

    def _insert(
        self, table: str, status: str, at: float, life: Sequence[tuple[str, float]], columns: Mapping[str, object]
    ) -> None:
        topic_partition = {"log_id": LOGS[table], "kafka_partition": 0, "kafka_offset": next(self._offsets)}
        times = {"kafka_timestamp": time(at), "created_at": time(life[0][1]), "updated_at": time(at)}
        self.insert(table, {**topic_partition, **times, "status": status, **columns})

    @staticmethod
    def _cart(columns: Mapping[str, object]) -> dict[str, object]:
        return {"user_id": _id(1), "cart_id": _id(1), "total_amount": "10.00", "currency": "EUR", **columns}


def _id(number: int) -> str:
    return f"01a20e2a-e071-8de2-a612-{number:012x}"
