"""MariaDB converts times between the zones of this machine, as its container does."""

import random
import struct
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local import time_zones
from local.mariadb import MariaDB

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
)


@pytest.fixture(scope="module")
def zoned(new_mariadb: Callable[..., MariaDB], tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    mariadb = new_mariadb(Path(tmp_path_factory.mktemp("zoned")))
    mariadb.start()
    mariadb.wait_ready()
    mariadb.load_time_zones()
    yield mariadb
    mariadb.stop()


def converted(mariadb: MariaDB, moments: list[tuple[str, datetime]]) -> list[str]:
    """Each time in UTC, as the server tells it in that zone."""
    rows = " UNION ALL ".join(
        f"SELECT {number} AS number, CONVERT_TZ('{moment:%Y-%m-%d %H:%M:%S}', '+00:00', '{zone}') AS told"
        for number, (zone, moment) in enumerate(moments)
    )
    told = mariadb.execute(f"SELECT told FROM ({rows}) AS converted ORDER BY number;")
    return told.splitlines()[1:]


def edges(zone: str) -> Iterator[datetime]:
    """The seconds around every change of the zone."""
    for at, _ in time_zones.parse(time_zones.files()[zone]).changes:
        if 0 < at < time_zones.LATEST:
            yield from (EPOCH + timedelta(seconds=at + beside) for beside in (-1, 0, 1))


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_is_converted_as_python_does_around_every_change_of_the_clocks(zoned: MariaDB, zone: str) -> None:
    moments = [(zone, moment) for moment in edges(zone)]
    expected = [f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" for _, moment in moments]
    assert converted(zoned, moments) == expected


def test_every_zone_is_known(zoned: MariaDB) -> None:
    chance, zones = random.Random(1), sorted(zoneinfo.available_timezones())
    moments = [(zone, EPOCH + timedelta(seconds=chance.randrange(2**31))) for zone in zones]
    expected = [f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" for zone, moment in moments]
    assert converted(zoned, moments) == expected


def test_a_local_time_is_converted_back(zoned: MariaDB) -> None:
    told = zoned.execute(
        "SELECT CONVERT_TZ('2027-07-01 12:00:00', 'Europe/Berlin', 'UTC'), "
        "CONVERT_TZ('2027-01-01 12:00:00', 'Europe/Berlin', 'America/New_York'), "
        "CONVERT_TZ('2027-03-28 02:30:00', 'Europe/Berlin', 'UTC'), "
        "CONVERT_TZ('2027-01-01 12:00:00', 'Europe/Nowhere', 'UTC')"
    )
    assert told.splitlines()[1].split("\t") == [
        *("2027-07-01 10:00:00", "2027-01-01 06:00:00"),
        *("2027-03-28 01:00:00", "NULL"),  # an hour that does not exist; a zone that does not
    ]


def test_zones_that_are_there_are_not_loaded_again_and_others_are(
    zoned: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[str] = []
    execute = MariaDB.execute

    def note(self: MariaDB, sql: str) -> str:
        executed.append(sql)
        return execute(self, sql)

    monkeypatch.setattr(MariaDB, "execute", note)
    zoned.load_time_zones()
    assert executed == []
    files = time_zones.files()
    monkeypatch.setattr(time_zones, "files", lambda: {"Europe/Berlin": files["Europe/Berlin"]})
    zoned.load_time_zones()
    assert execute(zoned, "SELECT name FROM mysql.time_zone_name").split() == ["name", "Europe/Berlin"]
    monkeypatch.undo()
    zoned.load_time_zones()
    assert len(execute(zoned, "SELECT name FROM mysql.time_zone_name").split()) == 1 + len(files)


def test_a_machine_without_zones_is_told_so_and_goes_on(zoned: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_zones, "files", dict)
    said: list[str] = []
    zoned.load_time_zones(said.append)
    assert len(said) == 1
    assert "install tzdata" in said[0]


def test_changes_that_only_a_rule_tells_are_found() -> None:
    """As in the files of some systems, which end with the year 2007 and a rule for all later ones."""
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    block = struct.pack(">lBB4s", 3600, 0, 0, b"CET\0")
    file = header + block + header + block + b"\nCET-1CEST,M3.5.0,M10.5.0/3\n"
    found = time_zones.parse(file).changes
    expected = [
        (at, kind) for at, kind in time_zones.parse(time_zones.files()["Europe/Berlin"]).changes if at > 1_200_000_000
    ]
    assert [one for one in found if one[0] > 1_200_000_000] == expected
