"""Holds the fixed address of a service that may run in several containers, and passes connections on to one of them.

Docker gives an address to one container only. So the containers of a service have addresses of their own, and the one
that everybody knows belongs to this program: ``python /images/front.py order 9102``.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from asyncio import StreamReader, StreamWriter

from shop.edges import ipv6
from shop.edges.process import run


async def serve(service: str, port: int) -> None:
    """Answers at every IPv6 address of this container until SIGTERM. Where no container of the service answers, a
    connection is closed at once."""

    async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            # Several addresses belong to the name; those that do not answer are passed over.
            its_reader, its_writer = await asyncio.open_connection(service, port, family=socket.AF_INET6)
            with contextlib.closing(its_writer):
                await asyncio.gather(_copy(reader, its_writer), _copy(its_reader, writer))

    server = await asyncio.start_server(pass_on, "::", port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


async def _copy(source: StreamReader, sink: StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


def main() -> None:
    """Raises UserError where there is no IPv6 here."""
    ipv6.require("its address", "::")
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    run(main)
