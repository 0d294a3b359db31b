"""Settings: from the environment, then from ``.env`` in the working directory, then the defaults."""

import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shop.edges.files import read_text
from shop.runtime.errors import UserError

ENV_FILE = Path(".env")


class Settings(BaseSettings):
    """What every service can be told. Names are those of the environment variables in lower case."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_file_encoding="utf-8-sig", extra="ignore", frozen=True)

    kafka_bootstrap: str = Field("[::1]:9094", min_length=1, description="addresses of Kafka, host:port")
    kafka_user: str = Field("auditor", description="user of Kafka; empty = no login (the port for everybody)")
    kafka_password: str = Field("auditorpw", repr=False, description="password of that user")
    instance: str = Field(
        "0",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
        description="slot of this instance; each running instance of a service has its own",
    )
    namespace: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
        description="put before the names of topics, groups and transactional ids: several systems on one Kafka",
    )
    log_format: Literal["console", "json"] = Field("console", description="how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level shown")

    @property
    def kafka_login(self) -> dict[str, str]:
        """How a Kafka client says who it is: what librdkafka must be told for it."""
        if not self.kafka_user:
            return {}
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.kafka_user,
            "sasl.password": self.kafka_password,
        }


class MonitoredSettings(Settings):
    """Where a service tells of itself. Each sets a port of its own as default."""

    http_host: str = Field("::1", min_length=1, description="address at which /metrics and /health are served")
    http_port: int = Field(0, ge=0, le=65_535, description="port of /metrics and /health; 0 = none")


class BusinessSettings(MonitoredSettings):
    """What the three publishing services can be told beyond that."""

    seed: int = Field(1, description="fixes every decision that chance makes")
    speed: float = Field(1.0, gt=0, le=1_000_000, description="divides every delay")
    transaction_events: int = Field(2000, ge=1, le=10_000, description="events in one transaction, at most")
    dedupe_window: float = Field(
        300.0, ge=0, description="seconds of log time in which duplicates of a trigger are known as such"
    )
    dedupe_limit: int = Field(
        10_000,
        ge=0,
        description="own records in a partition after which such duplicates are no longer known",
    )
    hold_limit: int = Field(
        200_000,
        ge=100,
        description="own records in a partition that an open entity may hold back offsets for",
    )
    pending_limit: int = Field(
        100_000, ge=100, description="pending triggers above which the input partitions are paused"
    )
    accept_loss: bool = Field(
        False, description="go on where a stored offset is no longer in the topic, and log the gap"
    )


class DatabaseSettings(Settings):
    """How to reach MariaDB. Each service sets its own user and database as defaults."""

    mariadb_host: str = Field("::1", min_length=1, description="address of MariaDB")
    mariadb_port: int = Field(3306, ge=1, le=65_535, description="port of MariaDB")
    mariadb_user: str
    mariadb_password: str = Field(repr=False)
    mariadb_database: str
    mariadb_tls: bool = Field(
        False,
        description="encrypt what goes to MariaDB, without a check of its certificate (costs a third of the speed)",
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
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']).upper()} = {item['input']!r}: {item['msg']}"
            for item in error.errors()
        )
        raise UserError(f"wrong setting (environment or .env): {wrong}") from None
