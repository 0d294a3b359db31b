"""The settings of analytics, and of the tools that read its database."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import SettingsConfigDict

from shop.edges.settings import (
    DatabaseSettings,
    HttpPort,
    KafkaUser,
    MonitoredSettings,
    Password,
)

SHORTEST_WINDOW_SECONDS, LONGEST_WINDOW_SECONDS = 30, 600


def _seconds(value: object) -> object:
    """'90', '90s' or '10m' as a number of seconds; anything else unchanged, for pydantic to refuse."""
    match = re.fullmatch(r"\s*(\d+)\s*([sm]?)\s*", value) if isinstance(value, str) else None
    return int(match[1]) * (60 if match[2] == "m" else 1) if match else value


Window = Annotated[int, BeforeValidator(_seconds), Field(ge=SHORTEST_WINDOW_SECONDS, le=LONGEST_WINDOW_SECONDS)]
"""Length of a KPI window in seconds; written as 90, 90s or 10m."""
AnalyticsDatabase = Annotated[str, Field(min_length=1, description="database with the tables of `sql/`")]


class _KpiSettings(DatabaseSettings):
    model_config = SettingsConfigDict(title="Analytics")

    kpi_window: Window = Field(600, description="seconds that the KPIs look back; also written as `90s` or `10m`")


class AnalyticsSettings(_KpiSettings, MonitoredSettings):
    """The settings of the service and of ``redrive``."""

    model_config = SettingsConfigDict(title="Analytics")

    kafka_user: KafkaUser = "analytics"
    kafka_password: Password = "analyticspw"
    http_port: HttpPort = 9104
    mariadb_user: str = Field(
        "analytics", min_length=1, description="user with `SELECT` and `INSERT` on the database analytics"
    )
    mariadb_password: Password = "analyticspw"
    mariadb_database: AnalyticsDatabase = "analytics"
    kpi_every: float = Field(10.0, ge=1, le=3600, description="seconds between two KPI tables on the console")
    batch_messages: int = Field(2500, ge=1, le=50_000, description="messages in one transaction, at most")
    batch_seconds: float = Field(
        0.02, gt=0, le=10, description="age in seconds at which a batch that is not full is stored"
    )
    queued_batches: int = Field(2, ge=1, le=16, description="batches that wait for the database, at most")
    accept_loss: bool = Field(
        False,
        description="go on where a topic lost offsets that are not stored (by retention or truncation), and record "
        "the gap in `accepted_loss`; also given as `--accept-loss`",
    )


class ReaderSettings(_KpiSettings):
    """The settings of the tools that only read: ``kpi`` and ``export``."""

    mariadb_user: str = Field("user", min_length=1, description="user with `SELECT` on the database analytics")
    mariadb_password: Password = "userpw"
    mariadb_database: AnalyticsDatabase = "analytics"
