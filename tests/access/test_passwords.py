"""Any password that can be typed gets in, on every way from a setting to a server; any other is refused by name."""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from analytics_service.settings import AnalyticsSettings
from local import passwords
from local.kafka import Kafka
from local.mariadb import MariaDB
from local.paths import ROOT
from order_service.settings import OrderSettings
from shop.edges import database
from shop.edges.settings import DatabaseSettings, Settings, load
from shop.runtime.errors import UserError
from tests.access.conftest import init_kafka
from tests.examples import scaled
from tests.passwords import HARD, UNFIT, any_password
from tools.kit import prepared

USERS = ("checkout", "order", "fulfillment", "analytics", "auditor")
REPLY = 20.0
ACCESS_DENIED = 1045
ADMIN = f" {''.join(HARD)} "
INIT_KAFKA: list[str | Path] = [ROOT / "init-kafka.sh"]
LOCAL_UP: list[str | Path] = [sys.executable, "-m", "local", "up"]


def lets_in(kafka: Kafka, **login: str) -> bool:
    """Whether the broker lets a client with this login in."""
    silent = logging.getLogger("tests.access.librdkafka")
    silent.disabled = True
    refused: list[ck.KafkaError] = []
    config: dict[str, Any] = {"bootstrap.servers": kafka.login, "logger": silent, "error_cb": refused.append}
    client = AdminClient(config | login)
    deadline = time.monotonic() + REPLY
    while time.monotonic() < deadline:
        with contextlib.suppress(ck.KafkaException):
            client.list_topics(timeout=1)
            return True
        client.poll(0)
        if any(error.code() == ck.KafkaError._AUTHENTICATION for error in refused):
            return False
    raise TimeoutError("the broker says nothing")


@pytest.fixture(scope="module")
def kafka_of_many(new_kafka: Callable[..., Kafka], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker whose PLAIN users are called 0, 1, 2 ... and have the passwords of HARD; the admin has all in one."""
    users = {f"user_{number}": password for number, password in enumerate(HARD)}
    login = passwords.plain_login(user_admin=ADMIN, **users)
    kafka = new_kafka(
        Path(tmp_path_factory.mktemp("many")), properties={"listener.name.login.plain.sasl.jaas.config": login}
    )
    prepared.copy_topics_and_users(kafka.home)
    kafka.start()
    kafka.wait_ready()
    yield kafka
    kafka.kill()


def test_a_password_in_the_settings_of_a_broker_gets_in(kafka_of_many: Kafka) -> None:
    plain = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    for number, password in enumerate(HARD):
        login = plain | {"sasl.username": str(number), "sasl.password": password}
        assert lets_in(kafka_of_many, **login), password
    assert not lets_in(kafka_of_many, **plain | {"sasl.username": "0", "sasl.password": HARD[1]})


@pytest.mark.parametrize(
    "words",
    [["".join(HARD[start::5]) for start in range(5)], ["]", "[a,b]", "iterations=1,password=x", "\\", "\u00a0"]],
    ids=["hard letters", "punctuation"],
)
def test_a_password_that_init_kafka_gives_to_a_user_gets_in(kafka_of_many: Kafka, words: list[str]) -> None:
    given_out = dict(zip(USERS, words, strict=True))
    told = {f"{user.upper()}_PASSWORD": word for user, word in given_out.items()}
    init_kafka(kafka_of_many, KAFKA_ADMIN_PASSWORD=ADMIN, **told)
    for user, word in given_out.items():
        assert lets_in(kafka_of_many, **Settings(kafka_user=user, kafka_password=word).kafka_login), word


@pytest.fixture(scope="module")
def visitor(mariadb: MariaDB) -> Iterator[str]:
    """A user of the database, whose password anybody may change."""
    mariadb.execute("CREATE USER 'of-this-test'@'%' IDENTIFIED BY 'another'")
    yield "of-this-test"
    mariadb.execute("DROP USER 'of-this-test'@'%'")


def give(mariadb: MariaDB, visitor: str, password: str) -> None:
    """Gives it to the visitor as sql/ gives it to analytics."""
    script = ["bash", str(ROOT / "sql" / "095-passwords.sh")]
    environment = os.environ | {"ANALYTICS_PASSWORD": password}
    sql = subprocess.run(script, env=environment, capture_output=True, text=True, check=True).stdout
    mariadb.execute(sql.replace("'analytics'@", f"'{visitor}'@"))


def lets_into_mariadb(mariadb: MariaDB, visitor: str, password: str) -> bool:
    """Whether a service gets in that has this password."""
    told = DatabaseSettings(
        mariadb_port=mariadb.port, mariadb_user=visitor, mariadb_password=password, mariadb_database=""
    )
    engine = database.create(told)
    try:
        with engine.connect():
            return True
    except DBAPIError as error:
        if database.error_code(error) != ACCESS_DENIED:
            raise
        return False
    finally:
        engine.dispose()


@settings(max_examples=scaled(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(" ")
@example(ADMIN)
@given(st.sampled_from(HARD) | any_password)
def test_a_password_that_sql_gives_to_a_user_gets_in(mariadb: MariaDB, visitor: str, password: str) -> None:
    give(mariadb, visitor, password)
    assert lets_into_mariadb(mariadb, visitor, password)
    assert not lets_into_mariadb(mariadb, visitor, f"{password} ")


@pytest.mark.parametrize("mode", ["ANSI", "NO_BACKSLASH_ESCAPES", "ORACLE"])
def test_the_sql_mode_does_not_matter_to_a_password(mariadb: MariaDB, visitor: str, mode: str) -> None:
    before = mariadb.execute("SELECT @@GLOBAL.sql_mode AS mode").splitlines()[-1]
    mariadb.execute(f"SET GLOBAL sql_mode = '{mode}'")
    try:
        give(mariadb, visitor, ADMIN)
    finally:
        mariadb.execute(f"SET GLOBAL sql_mode = '{before}'")
    assert lets_into_mariadb(mariadb, visitor, ADMIN)


def test_the_bundled_client_gets_in_with_any_password(mariadb: MariaDB, visitor: str) -> None:
    for password in (ADMIN, "-", " ", " a "):
        give(mariadb, visitor, password)
        told = os.environ | {"MARIADB_PORT": str(mariadb.port), "USER_PASSWORD": password}
        client: list[str | Path] = [
            ROOT / "local" / "mysql",
            f"--user={visitor}",
            "--database=",
            "--execute=SELECT 'in'",
        ]
        done = subprocess.run(client, env=told, capture_output=True, text=True, check=False)
        assert "in" in done.stdout, (password, done.stderr)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(HARD) | any_password)
def test_a_password_in_the_environment_or_a_file_of_settings_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.chdir(tmp_path)
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    (tmp_path / ".env").write_text(f"# ours\nKAFKA_PASSWORD='{escaped}'\n", encoding="utf-8")
    monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
    assert load(OrderSettings).kafka_password == password
    monkeypatch.setenv("KAFKA_PASSWORD", password)
    assert load(OrderSettings).kafka_password == password


@settings(max_examples=scaled(20), deadline=None)
@given(st.sampled_from(HARD) | any_password)
def test_the_containers_and_this_machine_write_the_same_settings_of_a_broker(password: str) -> None:
    script = ["bash", str(ROOT / "local" / "broker-passwords.sh")]
    told = os.environ | {"ADMIN_PASSWORD": password, "BROKER_PASSWORD": password[::-1]}
    lines = subprocess.run(script, env=told, capture_output=True, text=True, check=True).stdout.splitlines()
    read = [json.loads(f'"{line.partition("=")[2]}"') for line in lines]
    brokers = passwords.plain_login(username="broker", password=password[::-1], user_broker=password[::-1])
    assert read == [passwords.plain_login(user_admin=password), brokers, brokers]


@pytest.mark.parametrize(("password", "named"), UNFIT.items())
@pytest.mark.parametrize("setting", ["KAFKA_PASSWORD", "MARIADB_PASSWORD"])
def test_a_service_refuses_a_password_that_cannot_be_typed_and_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, setting: str, password: str, named: str
) -> None:
    monkeypatch.setenv(setting, f"secret{password}")
    with pytest.raises(UserError, match=re.escape(f"{setting}: the character {named} is in it")) as refused:
        load(AnalyticsSettings)
    assert "secret" not in str(refused.value)


def test_a_service_refuses_a_password_that_its_client_would_not_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "")
    with pytest.raises(UserError, match="KAFKA_PASSWORD: it is empty"):
        load(OrderSettings)
    monkeypatch.setenv("KAFKA_PASSWORD", " a")
    with pytest.raises(UserError, match="KAFKA_PASSWORD: it begins with a space"):
        load(OrderSettings)
    monkeypatch.setenv("KAFKA_USER", "")
    monkeypatch.setenv("KAFKA_PASSWORD", "")
    assert load(OrderSettings).kafka_login == {}


def test_a_line_of_a_file_of_settings_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("KAFKA_USER=order\nKAFKA_PASSWORD='it's\n")
    with pytest.raises(UserError, match=r"\.env, line 2"):
        load(OrderSettings)


def refuses_before_it_does_anything(command: list[str | Path], setting: str, password: str, named: str) -> None:
    told = os.environ | {setting: password, "BOOTSTRAP": "[::1]:1"}
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert setting in sentence
    assert named in sentence
    assert done.stdout == ""


@pytest.mark.parametrize("command", [INIT_KAFKA, LOCAL_UP], ids=["init-kafka.sh", "up"])
@pytest.mark.parametrize(("password", "named"), [*UNFIT.items(), ("a ", "a space"), (" a", "a space")])
def test_what_starts_the_servers_refuses_such_a_password_before_it_does_anything(
    command: list[str | Path], password: str, named: str
) -> None:
    refuses_before_it_does_anything(command, "ORDER_PASSWORD", password, named)


@pytest.mark.parametrize(
    ("command", "setting"),
    [(INIT_KAFKA, "KAFKA_ADMIN_PASSWORD"), *((LOCAL_UP, setting) for setting in passwords.SETTINGS)],
)
def test_it_does_so_whosever_password_it_is(command: list[str | Path], setting: str) -> None:
    password, named = next(iter(UNFIT.items()))
    refuses_before_it_does_anything(command, setting, password, named)
