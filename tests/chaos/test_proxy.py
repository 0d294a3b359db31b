"""The proxy passes on what it is given, whole and in order, until it is told to do worse."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos.proxy import Proxy
from local.server import HOST, free_port


class Echo:
    """Sends back what it gets; ``got`` keeps it."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = threading.Event()
        self._listener = socket.create_server((HOST, 0), family=socket.AF_INET6)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.got += data
                    connection.sendall(data)
            except OSError:
                pass
        self.ended.set()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    between = Proxy(free_port(), echo.port)
    between.start()
    yield between
    between.close()


@contextmanager
def client_of(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), timeout=10) as client:
        yield client


def answer(client: socket.socket, data: bytes) -> bytes:
    """What comes back of what is sent; less when the connection ends."""
    received = b""
    try:
        client.sendall(data)
        while len(received) < len(data) and (part := client.recv(65_536)):
            received += part
    except ConnectionError:
        pass
    return received


def test_everything_is_passed_on_in_order(proxy: Proxy) -> None:
    data = bytes(range(256)) * 10_000
    with client_of(proxy) as client:
        threading.Thread(target=client.sendall, args=(data,), daemon=True).start()
        received = b""
        while len(received) < len(data):
            received += client.recv(65_536)
    assert received == data


def test_latency_delays_both_ways_and_ends_when_told(proxy: Proxy) -> None:
    with client_of(proxy) as client:
        proxy.delay(0.2)
        began = time.monotonic()
        assert answer(client, b"slow") == b"slow"
        assert time.monotonic() - began >= 0.4
        proxy.delay(0)
        began = time.monotonic()
        assert answer(client, b"quick") == b"quick"
        assert time.monotonic() - began < 0.4


def test_a_cut_leaves_the_server_with_half_a_request_and_spares_later_connections(proxy: Proxy, echo: Echo) -> None:
    with client_of(proxy) as client:
        assert answer(client, b"whole") == b"whole"
        assert proxy.cut(after=3) == 1
        assert len(answer(client, b"request")) <= 3
        assert echo.ended.wait(10)
    assert echo.got == b"wholereq"
    with client_of(proxy) as client:
        assert answer(client, b"later") == b"later"


def test_a_cut_at_once_ends_what_is_open(proxy: Proxy, echo: Echo) -> None:
    with client_of(proxy) as client:
        assert answer(client, b"whole") == b"whole"
        assert proxy.cut() == 1
        assert answer(client, b"request") == b""
        assert echo.ended.wait(10)


def test_a_server_that_is_away_is_refused(proxy: Proxy, echo: Echo) -> None:
    echo.close()
    # A listener that is closed while it accepts takes one more connection.
    for _ in range(2):
        with client_of(proxy) as client:
            refused = answer(client, b"anybody?")
    assert refused == b""
