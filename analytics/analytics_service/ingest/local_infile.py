"""LOAD DATA LOCAL from memory.

In this protocol the *server* names the file that the client then sends. A client that obeys gives any file of its
machine to a server that asks for it; this one answers only the name that it has itself announced, with bytes from
memory, and never opens a file.
"""

import re
from typing import Any, NamedTuple

from pymysql import err
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CR
from sqlalchemy import Engine, event

_CHUNK_BYTES = 256 * 1024
_COUNTS = re.compile(rb"Records: (\d+) +Deleted: (\d+) +Skipped: (\d+) +Warnings: (\d+)")


class Loaded(NamedTuple):
    """What the server says of a load: rows read, rows left out as duplicates, warnings of all kinds."""

    records: int
    skipped: int
    warnings: int


class MemoryConnection(Connection):
    """A connection whose LOAD DATA LOCAL INFILE reads what ``announce`` was given."""

    _announced: tuple[bytes, bytes] | None = None

    def announce(self, name: str, data: bytes) -> None:
        """The next load may ask for ``name``, once, and gets ``data``."""
        self._announced = (name.encode(), data)

    def loaded(self) -> Loaded:
        """The counts of the load that was just executed."""
        counts = _COUNTS.search(getattr(self._result, "message", None) or b"")
        if counts is None:
            raise err.InternalError(CR.CR_UNKNOWN_ERROR, "the server did not say how many rows it loaded")
        return Loaded(int(counts[1]), int(counts[3]), int(counts[4]))

    def _read_query_result(self, unbuffered: bool = False) -> int:
        result = _Result(self)
        self._result = None
        if unbuffered:
            result.init_unbuffered_query()
        else:
            result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows or 0

    def _serve(self, name: bytes) -> None:
        announced, self._announced = self._announced, None
        if announced is None or announced[0] != name:
            self._force_close()  # type: ignore[attr-defined]  # the stubs leave it out
            raise err.OperationalError(CR.CR_UNKNOWN_ERROR, f"the server asked for file {name!r}, which is not ours")
        data = memoryview(announced[1])
        for start in range(0, len(data), _CHUNK_BYTES):
            self.write_packet(bytes(data[start : start + _CHUNK_BYTES]))
        self.write_packet(b"")


class _Result(MySQLResult):
    connection: MemoryConnection

    def _read_load_local_packet(self, first_packet: Any) -> None:
        self.connection._serve(first_packet.get_all_data()[1:])
        self._read_ok_packet(self.connection._read_packet())  # type: ignore[attr-defined, no-untyped-call]


def serve_from_memory(engine: Engine) -> None:
    """Makes every connection of the engine a ``MemoryConnection``."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> MemoryConnection:
        return MemoryConnection(**{**options, "local_infile": True})
