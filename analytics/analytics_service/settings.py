"""What analytics can be told."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from shop.edges.settings import DatabaseSettings, MonitoredSettings, Password

SHORTEST_WINDOW_SECONDS, LONGEST_WINDOW_SECONDS = 30, 600


def _seconds(value: object) -> object:
    """'90', '90s' or '10m' as a number of seconds; anything else unchanged, for pydantic to refuse."""
    match = re.fullmatch(r"\s*(\d+)\s*([sm]?)\s*", value) if isinstance(value, str) else None
    return int(match[1]) * (60 if match[2] == "m" else 1) if match else value


Window = Annotated[int, BeforeValidator(_seconds), Field(ge=SHORTEST_WINDOW_SECONDS, le=LONGEST_WINDOW_SECONDS)]
"""Length of a KPI window in seconds; written as 90, 90s or 10m."""


class _KpiSettings(DatabaseSettings):
    kpi_window: Window = Field(600, description="the KPIs look back this far, from 30s to 10m")


class AnalyticsSettings(_KpiSettings, MonitoredSettings):
    """The settings of the service; the tools use those that they need."""

    kafka_user: str = Field("analytics", description="user of Kafka; empty = no login (the port for everybody)")
    kafka_password: Password = Field("analyticspw", repr=False, description="password of that user")
    http_port: int = Field(9104, ge=0, le=65_535, description="port of /metrics and /health; 0 = none")
    mariadb_user: str = Field("analytics", min_length=1, description="user with SELECT and INSERT")
    mariadb_password: Password = Field("analyticspw", repr=False, description="password of that user")
    mariadb_database: str = Field("analytics", min_length=1, description="database with the tables of sql/")
    kpi_every: float = Field(10.0, ge=1, le=3600, description="seconds between two KPI tables on the console")
    batch_messages: int = Field(2500, ge=1, le=50_000, description="messages in one transaction, at most")
    batch_seconds: float = Field(
        0.02, gt=0, le=10, description="age in seconds at which a batch that is not full is stored"
    )
    queued_batches: int = Field(2, ge=1, le=16, description="batches that wait for the database, at most")
    accept_loss: bool = Field(
        False, description="go on where the topic lost offsets that are not stored, and record the gap"
    )


class ReaderSettings(_KpiSettings):
    """The settings of the tools that only read."""

    mariadb_user: str = Field("user", min_length=1, description="user with SELECT")
    mariadb_password: Password = Field("userpw", repr=False, description="password of that user")
    mariadb_database: str = Field("analytics", min_length=1, description="database with the tables of sql/")
