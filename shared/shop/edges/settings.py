"""Settings: from the environment, then from ``.env`` in the working directory, then the defaults."""

import io
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from dotenv.parser import parse_stream
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from shop.edges import ipv6
from shop.edges.files import read_text
from shop.runtime.errors import UserError

ENV_FILE = Path(".env")
_UNFIT = {"Cc": "nobody can type or see", "Zl": "ends a line", "Zp": "ends a line", "Cs": "is not UTF-8"}
"""Categories of characters that the servers' own tools, or an environment, do not take in a password."""


def _typeable(password: str) -> str:
    for character in password:
        if why := _UNFIT.get(unicodedata.category(character)):
            raise ValueError(f"the character U+{ord(character):04X} is in it, which {why}")
    return password


# Each program sets its own defaults of these.
KafkaUser = Annotated[
    str, Field(description="user of Kafka; empty = no login, at the port that is open to everybody (`9092`)")
]
Password = Annotated[
    str,
    AfterValidator(_typeable),
    Field(
        repr=False,
        description="password of that user; the default is public: choose another where others reach the machine",
    ),
]
"""Any text of characters that can be typed. No message shows its value."""
HttpPort = Annotated[int, Field(ge=0, le=65_535, description="port of `/metrics` and `/health`; 0 = none")]


class _EnvFile(DotEnvSettingsSource):
    """``.env`` as it stands there: ``${...}`` in it is text, as in a password, and no variable."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        bindings = list(parse_stream(io.StringIO(read_text(file_path))))
        for binding in bindings:
            if binding.error:
                raise UserError(f"{file_path}, line {binding.original.line}: write NAME=value, or NAME='value'")
        return {binding.key.lower(): binding.value for binding in bindings if binding.key is not None}


class LogSettings(BaseSettings):
    """How a program logs."""

    model_config = SettingsConfigDict(title="Logs, metrics and health")

    log_format: Literal["console", "json"] = Field("console", description="format of the log lines")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="lowest level that is shown; `debug` shows every decision"
    )


class Settings(LogSettings):
    """Settings shared by all programs. Names are those of the environment variables in lower case.

    ``title`` is the section in which ``make docs`` lists the fields of a class.
    """

    model_config = SettingsConfigDict(title="Kafka", extra="ignore", frozen=True)

    kafka_bootstrap: str = Field(
        "[::1]:9094",
        min_length=1,
        description="addresses of Kafka, host:port, separated by commas (`make run` sets `KAFKA_PORT` + 2; in the "
        "network of docker-compose it is `[fd00:dead:cafe::10]:9094`)",
    )
    kafka_user: KafkaUser = "auditor"
    kafka_password: Password = "auditorpw"
    instance: str = Field(
        "0",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="slot of this instance (letters, digits, `_`, `-`): one for each running instance of a service",
    )
    namespace: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
        description="prefix of the names of topics, groups and transactional ids: several systems on one Kafka",
    )

    @field_validator("kafka_password")
    @classmethod
    def _taken_by_kafka(cls, password: str, others: ValidationInfo) -> str:
        if others.data.get("kafka_user") and not password:
            raise ValueError("it is empty, and no user of Kafka has an empty password")
        if password.startswith(" "):
            raise ValueError("it begins with a space, which Kafka's client cuts off")
        return password

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """For pydantic: where settings come from, the first one wins."""
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        # Not as the default of pydantic, which would read the file in its own way as well.
        return init_settings, env_settings, _EnvFile(settings_cls, env_file=dotenv_settings.env_file or ENV_FILE)

    @property
    def kafka_login(self) -> dict[str, str]:
        """How a Kafka client says who it is: what librdkafka must be told for it.

        Raises UserError where Kafka's address is one of IPv6, and that is off here.
        """
        ipv6.require("KAFKA_BOOTSTRAP", self.kafka_bootstrap)
        if not self.kafka_user:
            return {}
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.kafka_user,
            "sasl.password": self.kafka_password,
        }


class MonitoredSettings(Settings):
    """Where a service serves its metrics and its health. Each sets a port of its own as default."""

    model_config = SettingsConfigDict(title="Logs, metrics and health")

    http_host: str = Field(
        "::1",
        min_length=1,
        description="address at which `/metrics` and `/health` are served; `::` = all addresses of this machine",
    )
    http_port: HttpPort = 0


class PublishingSettings(MonitoredSettings):
    """Bounds of what a publishing service commits at once and remembers."""

    model_config = SettingsConfigDict(title="Transactions and memory")

    transaction_events: int = Field(2000, ge=1, le=10_000, description="events in one transaction, at most")
    dedupe_window: float = Field(
        300.0, ge=0, description="seconds of log time within which a duplicate of a trigger is recognized"
    )
    dedupe_limit: int = Field(
        10_000,
        ge=0,
        description="records in a partition of the output topic after which such a duplicate is no longer recognized",
    )
    hold_limit: int = Field(
        200_000,
        ge=100,
        description="records in a partition of the output topic for which an open entity may hold back the committed "
        "offset; an older entity is abandoned",
    )
    pending_limit: int = Field(
        100_000, ge=100, description="pending triggers above which the input partitions are paused"
    )
    accept_loss: bool = Field(
        False,
        description="go on where a committed offset is no longer in its topic, and log the gap; act on triggers that "
        "nothing proves undone, though some may be done twice; also given as `--accept-loss`",
    )


class BusinessSettings(PublishingSettings):
    """Settings shared by the three publishing services."""

    model_config = SettingsConfigDict(title="Chance and time")

    seed: int = Field(1, description="decides, with the ids, everything that is left to chance")
    speed: float = Field(
        1.0,
        gt=0,
        le=1_000_000,
        description="divides every delay: 1 = people's own pace, 100 = a hundred times faster",
    )


class DatabaseSettings(Settings):
    """How to reach MariaDB. Each program sets its own user and database as defaults."""

    model_config = SettingsConfigDict(title="MariaDB")

    mariadb_host: str = Field(
        "::1",
        min_length=1,
        description="address of MariaDB (in the network of docker-compose it is `fd00:dead:cafe::100`)",
    )
    mariadb_port: int = Field(3306, ge=1, le=65_535, description="port of MariaDB; `make run` passes it on")
    mariadb_user: str
    mariadb_password: Password
    mariadb_database: str
    mariadb_tls: bool = Field(
        False,
        description="encrypt the connection to MariaDB, without checking its certificate; costs a third of the speed",
    )


AnySettings = TypeVar("AnySettings", bound=Settings)


def load(kind: type[AnySettings], **overrides: object) -> AnySettings:
    """The settings of a process. ``overrides`` (command line options) win over the environment; ``_env_file`` is
    another place of ``.env``.

    Raises UserError that names every wrong setting, or ``.env`` where that is there and is no text that can be read:
    it would be passed over without a word.
    """
    env_file = Path(str(overrides.get("_env_file", ENV_FILE)))
    if os.path.lexists(env_file) and not env_file.is_fifo():
        read_text(env_file)
    try:
        return kind(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(_said(kind, one["loc"], one["input"], one["msg"]) for one in error.errors())
        raise UserError(f"wrong setting (environment or .env): {wrong}") from None


def _said(kind: type[Settings], loc: tuple[int | str, ...], value: object, message: str) -> str:
    """What is wrong with which setting, and its value, unless that is a password."""
    field = kind.model_fields.get(str(loc[0])) if loc else None
    shown = f" = {value!r}" if field is not None and field.repr else ""
    return f"{'.'.join(map(str, loc)).upper()}{shown}: {message.removeprefix('Value error, ')}"
