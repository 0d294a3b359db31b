"""A server must not be able to ask for a file: against a server that tries."""

import socket
import struct
import threading
from pathlib import Path

import pytest
from pymysql.err import OperationalError

from analytics_service.ingest.local_infile import MemoryConnection

GOODBYE = b"\x01"
OK = b"\x00\x00\x00\x02\x00\x00\x00"


class MaliciousServer:
    """Speaks just enough of the protocol to let a client in, and answers each LOAD DATA by asking for ``wanted``."""

    def __init__(self, wanted: bytes) -> None:
        self.wanted = wanted
        self.received = b""
        self._listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.port = int(self._listener.getsockname()[1])
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as client:
            greeting = (
                b"\x0a11.4.5-MariaDB\0" + struct.pack("<I", 1) + b"12345678\0" + struct.pack("<H", 0xF7FF & ~0x0800)
            )
            greeting += b"\x2d\x02\x00" + struct.pack("<H", 0x0008) + b"\x15" + bytes(10) + b"123456789012\0"
            greeting += b"mysql_native_password\0"
            self._send(client, 0, greeting)
            self._read(client)
            self._send(client, 2, OK)
            while (query := self._read(client)) not in {b"", GOODBYE}:
                if query.startswith(b"\x03LOAD"):
                    self._send(client, 1, b"\xfb" + self.wanted)
                    while chunk := self._read(client):
                        self.received += chunk
                    self._send(client, 4 if self.received else 3, OK)
                else:
                    self._send(client, 1, OK)

    def _send(self, client: socket.socket, number: int, payload: bytes) -> None:
        client.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)

    def _read(self, client: socket.socket) -> bytes:
        header = client.recv(4, socket.MSG_WAITALL)
        length = int.from_bytes(header[:3], "little")
        return client.recv(length, socket.MSG_WAITALL) if length else b""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("the password")
    return file


def connect(server: MaliciousServer) -> MemoryConnection:
    return MemoryConnection(host="::1", port=server.port, user="analytics", local_infile=True, ssl_disabled=True)


def test_its_own_name_is_served_from_memory() -> None:
    server = MaliciousServer(b"checkout")
    client = connect(server)
    client.announce("checkout", b"a\tb\n")
    client.query("LOAD DATA LOCAL INFILE 'checkout' INTO TABLE checkout")
    assert server.received == b"a\tb\n"
    client.close()
    server.thread.join(5)


def test_a_name_that_was_not_announced_ends_the_connection(secret: Path) -> None:
    server = MaliciousServer(str(secret).encode())
    client = connect(server)
    client.announce("checkout", b"a\tb\n")
    with pytest.raises(OperationalError, match="which is not ours"):
        client.query("LOAD DATA LOCAL INFILE 'checkout' INTO TABLE checkout")
    server.thread.join(5)
    assert server.received == b""
    assert not client.open


def test_nothing_is_served_when_nothing_was_announced(secret: Path) -> None:
    server = MaliciousServer(str(secret).encode())
    client = connect(server)
    with pytest.raises(OperationalError, match="which is not ours"):
        client.query(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE checkout")
    server.thread.join(5)
    assert server.received == b""
