"""What the export of tables and views writes, from a real database."""

import codecs
import csv
import io
import os

import pytest
from sqlalchemy import text

from analytics_service.export import extract
from analytics_service.export.cells import line
from analytics_service.export.extract import Period
from local.server import free_port
from shop.runtime.errors import UserError
from tests.analytics.exports import export, store
from tests.analytics.world import Shop

UUID = "01a20e2a-e071-79d2-9c4b-{:012x}"
TEXTS = [
    *(
        "plain",
        "tab\there",
        'quo"te',
        "line\nbreak",
        "both\r\n",
        "comma, semi;",
        "\U0001f6d2 \U00020bb7",
        "",
        " padded ",
    ),
    *(
        "=1+1",
        "'=1+1",
        "+31 6",
        "-1",
        "@SUM(1)",
        "\tx",
        "\rx",
        " =1",
        "'s-Gravenhage",
        "\uff1d1",
        "\\N",
        "NULL",
        "\\",
    ),
]


def exported(shop: Shop, *arguments: str) -> list[dict[str, str]]:
    """The rows on the standard output, as they are stored."""
    done = export(shop, "--raw", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return rows(done.stdout.decode())


def rows(written: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written, newline=""), strict=True))


def refusal(shop: Shop, *arguments: str, **settings: object) -> str:
    """The one sentence that it ends with."""
    done = export(shop, *arguments, **settings)
    assert (done.returncode, done.stdout) == (2, b"")
    (sentence,) = done.stderr.decode().splitlines()
    return sentence


def store_addresses(shop: Shop, names: list[str]) -> None:
    store(
        shop,
        "INSERT INTO shipping_address VALUES (:id, :name, 'Street 1', '0123', 'City', 'NL')",
        *({"id": UUID.format(number), "name": name} for number, name in enumerate(names)),
    )


def test_texts_are_exported_as_they_are(empty_shop: Shop) -> None:
    store_addresses(empty_shop, TEXTS)
    assert [row["name"] for row in exported(empty_shop, "shipping_address")] == TEXTS
    assert {row["zip"] for row in exported(empty_shop, "shipping_address")} == {"0123"}


def test_by_default_no_text_is_a_formula(empty_shop: Shop) -> None:
    store_addresses(empty_shop, TEXTS)
    done = export(empty_shop, "shipping_address")
    header, *lines = done.stdout.decode().split("\r\n01a20e2a-")
    assert header == "address_id,name,street,zip,city,country"
    for number, name in enumerate(TEXTS):
        stored = (UUID.format(number), name, "Street 1", "0123", "City", "NL")
        assert "01a20e2a-" + lines[number].removesuffix("\r\n") + "\r\n" == line(stored, guard=True)
    assert [row["name"] for row in rows(done.stdout.decode())].count("'=1+1") == 1


def test_a_file_has_a_byte_order_mark_and_the_standard_output_has_none(empty_shop: Shop) -> None:
    store_addresses(empty_shop, TEXTS)
    shown = export(empty_shop, "shipping_address").stdout
    done = export(empty_shop, "shipping_address", "--output", "a.csv")
    assert done.stdout.decode() == f"{len(TEXTS)} rows of shipping_address are in {empty_shop.folder / 'a.csv'}\n"
    assert done.stderr == b""
    assert (empty_shop.folder / "a.csv").read_bytes() == codecs.BOM_UTF8 + shown
    raw = export(empty_shop, "shipping_address", "--raw").stdout
    export(empty_shop, "shipping_address", "--raw", "--output", "a.csv", "--folder", str(empty_shop.folder))
    assert (empty_shop.folder / "a.csv").read_bytes() == raw
    assert list(empty_shop.folder.iterdir()) == [empty_shop.folder / "a.csv"]


def test_null_times_amounts_and_bytes(empty_shop: Shop) -> None:
    store(
        empty_shop,
        "INSERT INTO checkout VALUES (1, 0, :offset, '2027-01-15 08:00:00.123', :id, :id, :id, :amount, 'EUR', "
        ":method, NULL, 'created', '2027-01-15 08:00:00', :updated)",
        *(
            {"offset": offset, "id": UUID.format(1), "amount": amount, "method": method, "updated": updated}
            for offset, amount, method, updated in [(2**62, "1234567890.10", None, None), (7, "0", "", "2027-01-15")]
        ),
    )
    ids = f"{UUID.format(1)},{UUID.format(1)},{UUID.format(1)}"
    times = "2027-01-15 08:00:00.000000"
    assert export(empty_shop, "checkout").stdout.decode().split("\r\n")[1:] == [
        f'1,0,7,2027-01-15 08:00:00.123000,{ids},0.00,EUR,"",,created,{times},2027-01-15 00:00:00.000000',
        f"1,0,{2**62},2027-01-15 08:00:00.123000,{ids},1234567890.10,EUR,,,created,{times},",
        "",
    ]
    store(
        empty_shop,
        "INSERT INTO dead_letter VALUES (1, 0, :offset, NULL, '=reason', :key, :value, :headers, '2027-01-15')",
        {"offset": 0, "key": None, "value": b"", "headers": None},
        {"offset": 1, "key": b"=1", "value": bytes(range(256)), "headers": ""},
    )
    assert export(empty_shop, "dead_letter").stdout.decode().split("\r\n")[1:] == [
        "1,0,0,,'=reason,,0x,,2027-01-15 00:00:00.000000",
        f'1,0,1,,\'=reason,0x3d31,0x{bytes(range(256)).hex()},"",2027-01-15 00:00:00.000000',
        "",
    ]


@pytest.mark.parametrize(
    ("limits", "offsets"),
    [
        ("--from 2027-01-15T08:00:00.001", [1, 2]),
        ("--to 2027-01-15T08:00:00.002Z", [2, 3]),
        ("--from 2027-01-15T08:00:00.001 --to 2027-01-15T08:00:00.002", [2]),
        ("--from 2027-01-15T09:00:00.001+01:00 --to 2027-01-15T02:00:00.003-06:00", [1, 2]),
        ("--from 2027-01-15T08:00:00.000001 --to 2027-01-15T08:00:00.002001", [1, 2]),
        ("--from 2027-01-16", []),
        ("--to 2027-01-16", [1, 2, 3]),
    ],
)
def test_from_is_inclusive_and_to_exclusive_in_utc(empty_shop: Shop, limits: str, offsets: list[int]) -> None:
    """The rows come in the order of their key, which here is not that of time."""
    moments = [(1, "08:00:00.002"), (2, "08:00:00.001"), (3, "08:00:00.000")]
    values = [{"id": UUID.format(number), "number": number, "at": f"2027-01-15 {at}"} for number, at in moments]
    fulfillment = "INSERT INTO fulfillment VALUES (1, 0, :number, :at, :id, :id, 'SHIPPED', '2020-01-01', NULL)"
    dead_letter = "INSERT INTO dead_letter VALUES (1, 0, :number, '2020-01-01', :id, NULL, NULL, NULL, :at)"
    for table, statement in (("fulfillment", fulfillment), ("dead_letter", dead_letter)):
        store(empty_shop, statement, *values)
        assert [int(row["kafka_offset"]) for row in exported(empty_shop, table, *limits.split())] == offsets


def test_a_view_looks_back_as_far_as_the_window_says(empty_shop: Shop) -> None:
    store(
        empty_shop,
        "INSERT INTO checkout SELECT 1, 0, seq, UTC_TIMESTAMP(3) - INTERVAL (seq * 100 - 99) SECOND, UUID(), UUID(), "
        "UUID(), 1, 'EUR', NULL, NULL, 'created', '2027-01-15', NULL FROM seq_1_to_4",
    )
    for window, created in ((["--window", "60s"], "1"), (["--window", "4m"], "3"), ([], "4")):
        (row,) = exported(empty_shop, "kpi_checkout", *window)
        assert row["created"] == created
    assert export(empty_shop, "kpi_checkout", KPI_WINDOW="60s").stdout.splitlines()[1].startswith(b"1,")


def test_every_table_and_view_can_be_exported(empty_shop: Shop) -> None:
    store_addresses(empty_shop, TEXTS)
    engine = empty_shop.engine()
    with engine.connect() as connection:
        with pytest.raises(UserError) as refused:
            extract.find(connection, "")
        names = str(refused.value).partition("there are ")[2].split(", ")
        sources = [extract.find(connection, name) for name in names]
    with empty_shop.root.connect() as connection:
        columns = connection.execute(
            text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()")
        ).all()
        found = text("SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()")
        views = set(connection.execute(found).scalars())
    assert {"checkout", "order", "cart_item", "kafka_log", "kpi_checkout"} <= set(names)
    for source in sources:
        assert source.is_view == (source.name in views)
        assert source.is_view or source.key
        with extract.stream(engine, source, Period(None, None), 600) as result:
            assert set(result.keys()) == {column for table, column in columns if table == source.name}
            result.all()
    engine.dispose()


def test_a_name_is_never_run_as_sql(empty_shop: Shop) -> None:
    strange = "a`b:name %s \"'; --"
    for name in (strange, "order`", "mysql.user", "information_schema.tables", "ORDER", "fulfillment "):
        assert "there is no table or view" in refusal(empty_shop, name)
    quoted = "`" + strange.replace("`", "``") + "`"
    store(empty_shop, f"CREATE TABLE {quoted.replace(':', chr(92) + ':')} (`=x` INT PRIMARY KEY) SELECT 1 AS `=x`")
    try:
        assert export(empty_shop, strange).stdout == b"'=x\r\n1\r\n"
    finally:
        store(empty_shop, f"DROP TABLE {quoted.replace(':', chr(92) + ':')}")


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        ("", {}, "name a table or view; there are accepted_loss, cart_item, checkout, "),
        ("orders", {}, "there is no table or view 'orders'; there are accepted_loss, cart_item, checkout, "),
        ("checkout --from yesterday", {}, "--from yesterday is no time: write it like"),
        ("checkout --to 0001-01-01T00:00+10:00", {}, "--to 0001-01-01T00:00+10:00 is no time: write it like"),
        ("checkout --from 2027-01-15 --to 2027-01-15T00:00Z", {}, "--from is not before --to"),
        ("cart_item --from 2027-01-15", {}, "do not go with cart_item, which has no time of its messages"),
        ("kafka_log --to 2027-01-15", {}, "do not go with kafka_log, which has no time of its messages"),
        ("kpi_checkout --from 2027-01-15", {}, "do not go with kpi_checkout, which has no time of its messages"),
        ("checkout --window 60s", {}, "--window does not go with checkout, which is a table"),
        ("kpi_checkout --window 11m", {}, "KPI_WINDOW = '11m'"),
        ("checkout", {"MARIADB_PASSWORD": "no"}, "MARIADB_PASSWORD"),
        ("checkout", {"MARIADB_DATABASE": "none"}, "MARIADB_DATABASE"),
        ("checkout", {"MARIADB_PORT": str(free_port())}, "does not answer"),
        ("checkout --output missing/a.csv", {}, "missing/a.csv cannot be written: No such file or directory"),
        ("checkout --output file/a.csv", {}, "file/a.csv cannot be written: Not a directory"),
        ("checkout --output folder", {}, "folder is no regular file"),
        ("checkout --output pipe", {}, "pipe is no regular file"),
    ],
)
def test_it_says_what_is_wrong(empty_shop: Shop, arguments: str, settings: dict[str, str], words: str) -> None:
    (empty_shop.folder / "folder").mkdir()
    (empty_shop.folder / "file").touch()
    os.mkfifo(empty_shop.folder / "pipe")
    before = sorted(empty_shop.folder.iterdir())
    assert words in refusal(empty_shop, *arguments.split(), **settings)
    assert sorted(empty_shop.folder.iterdir()) == before


def test_a_file_that_is_there_is_replaced_behind_its_link(empty_shop: Shop) -> None:
    (empty_shop.folder / "folder").mkdir()
    file, link = empty_shop.folder / "folder" / "a.csv", empty_shop.folder / "b.csv"
    file.write_text("before")
    link.symlink_to(file)
    assert export(empty_shop, "cart_item", "--output", "b.csv", "--raw").returncode == 0
    assert link.is_symlink()
    assert file.read_bytes() == b"cart_id,line_no,product_id,quantity,price\r\n"
