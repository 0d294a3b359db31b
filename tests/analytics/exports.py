"""The export as a process, and rows for it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import text

from tests.analytics.world import TIMEOUT_SECONDS, Shop, wait

MODULE = [sys.executable, "-m", "analytics_service.export"]
MANY = 200_000


def environment(shop: Shop, **settings: object) -> dict[str, str]:
    return os.environ | shop.settings(**settings)


def export(shop: Shop, *arguments: str, **settings: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MODULE, *arguments],
        capture_output=True,
        cwd=shop.folder,
        env=environment(shop, **settings),
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def store(shop: Shop, statement: str, *values: Mapping[str, object]) -> None:
    with shop.root.begin() as connection:
        connection.execute(text(statement), list(values) or None)


def store_many(shop: Shop) -> None:
    """So many fulfillments, one a second; some 25 MB, more than all buffers on the way hold."""
    store(
        shop,
        "INSERT INTO fulfillment SELECT 1, 0, seq, '2027-01-15 08:00:00' + INTERVAL seq SECOND, UUID(), UUID(), "
        f"'SHIPPED', '2027-01-15 08:00:00', NULL FROM seq_1_to_{MANY}",
    )


@contextmanager
def started(shop: Shop, *arguments: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    """An export of so many rows that it is not at the end when this begins."""
    store_many(shop)
    command = [*MODULE, "fulfillment", *arguments]
    with subprocess.Popen(
        command, stdout=stdout, stderr=subprocess.PIPE, cwd=shop.folder, env=environment(shop)
    ) as process:
        if "--output" in arguments:
            wait(
                lambda: any(part.stat().st_size for part in shop.folder.glob("*.part")), "the first rows in the file"
            )
        yield process
