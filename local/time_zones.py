"""The time zones of this machine as SQL for MariaDB, so that CONVERT_TZ knows 'Europe/Berlin'.

MariaDB's own program for that is not among the bundled ones. The files (RFC 9636) are those that Python finds: the
system's, or else those of the package tzdata.
"""

import hashlib
import struct
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from io import BytesIO
from pathlib import Path

EARLIEST, LATEST = -(2**31), 2**31 - 1
"""MariaDB converts times from 1970 on, and up to this one, in 2038."""
MONTH = 28 * 86_400
"""No two changes of a zone that follow from a rule are closer to each other."""
ROWS = 2000
"""In one INSERT."""
HEADER = struct.Struct(">4s16x6l")

Kind = tuple[int, bool, str]
"""Offset in seconds, whether that is summer time, short name."""


@dataclass(frozen=True)
class Zone:
    """What holds from which second since 1970 on, the earliest first."""

    changes: Sequence[tuple[int, Kind]]


def files() -> dict[str, bytes]:
    """The file of every zone that there is here, by the name of the zone; empty where this machine has none."""
    return {name: _read(name) for name in sorted(zoneinfo.available_timezones())}


def fingerprint(files: Mapping[str, bytes]) -> str:
    """Another one for other zones."""
    return hashlib.sha256(b"".join(name.encode() + data for name, data in files.items())).hexdigest()


def as_sql(files: Mapping[str, bytes]) -> str:
    """Statements that replace all zones of the server by these. Zones of the same content are stored once."""
    numbers = {data: number for number, data in enumerate(dict.fromkeys(files.values()), 1)}
    kinds: list[str] = []
    changes: list[str] = []
    for data, zone in numbers.items():
        known: dict[Kind, int] = {}
        for at, kind in parse(data).changes:
            number = known.setdefault(kind, len(known))
            changes.append(f"({zone},{at},{number})")
        kinds += [f"({zone},{n},{offset},{summer:d},'{name}')" for (offset, summer, name), n in known.items()]
    names = [f"('{name}',{numbers[data]})" for name, data in files.items()]
    return "USE mysql;\n" + "".join(
        statement
        for table, rows in (
            ("time_zone", [f"({number},'N')" for number in numbers.values()]),
            ("time_zone_name", names),
            ("time_zone_transition", changes),
            ("time_zone_transition_type", kinds),
        )
        for statement in _refill(table, rows)
    )


def parse(data: bytes) -> Zone:
    """What a file says of the time that MariaDB converts."""
    *_, (transitions, kinds, footer) = _blocks(data)
    first = kinds[0]
    found: list[tuple[int, Kind]] = []
    for at, kind in transitions:
        if at <= 0:
            first = kind
        elif at < LATEST:
            found.append((at, kind))
    changes = [(EARLIEST, first), *found]
    # A rule for all the time after the last change that the file names.
    return Zone([*changes, *_ruled(data, max(0, changes[-1][0]))] if b"," in footer else changes)


def _blocks(data: bytes) -> Iterator[tuple[list[tuple[int, Kind]], list[Kind], bytes]]:
    """The changes, kinds and rule of each block: the second one of a file has wider times, and the rule."""
    start, width = 0, "l"
    while data[start : start + 4] == b"TZif":
        _, utc_flags, standard_flags, leaps, times, types, characters = HEADER.unpack_from(data, start)
        at = start + HEADER.size
        moments = struct.unpack_from(f">{times}{width}", data, at)
        at += struct.calcsize(f">{times}{width}")
        which = data[at : at + times]
        at += times
        names = at + 6 * types
        kinds = [_kind(data, at + 6 * number, names) for number in range(types)]
        start = names + characters + leaps * (struct.calcsize(f">{width}") + 4) + standard_flags + utc_flags
        width = "q"
        yield [(moment, kinds[number]) for moment, number in zip(moments, which, strict=True)], kinds, data[start:]


def _kind(data: bytes, at: int, names: int) -> Kind:
    offset, summer, name = struct.unpack_from(">lBB", data, at)
    return offset, bool(summer), data[names + name : data.index(b"\0", names + name)].decode()


def _ruled(data: bytes, start: int) -> Iterator[tuple[int, Kind]]:
    """The changes after ``start`` that follow from the rule at the end of a file."""
    zone = zoneinfo.ZoneInfo.from_file(BytesIO(data))

    def kind(at: int) -> Kind:
        local = datetime.fromtimestamp(at, UTC).astimezone(zone)
        offset, summer = local.utcoffset(), local.dst()
        assert offset is not None
        return int(offset.total_seconds()), bool(summer), local.tzname() or ""

    before = kind(start)
    for end in range(start + MONTH, LATEST, MONTH):
        after = kind(end)
        if after != before:
            low, high = end - MONTH, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if kind(middle) == before else (low, middle)
            yield high, after
            before = after


def _refill(table: str, rows: Sequence[str]) -> Iterator[str]:
    yield f"TRUNCATE TABLE {table};\n"
    for start in range(0, len(rows), ROWS):
        yield f"INSERT INTO {table} VALUES {','.join(rows[start : start + ROWS])};\n"


def _read(name: str) -> bytes:
    for folder in zoneinfo.TZPATH:
        file = Path(folder, name)
        if file.is_file():
            return file.read_bytes()
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
