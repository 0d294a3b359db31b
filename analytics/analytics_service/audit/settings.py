"""The settings of the auditor."""

from pydantic import Field

from analytics_service.settings import AnalyticsDatabase
from shop.edges.settings import DatabaseSettings, Password


class AuditSettings(DatabaseSettings):
    """Where the topics and both databases are. ``namespace`` and the databases' names make one system of them."""

    mariadb_user: str = Field("auditor", min_length=1, description="user with `SELECT` on both databases")
    mariadb_password: Password = "auditorpw"
    mariadb_database: AnalyticsDatabase = "analytics"
    fulfillment_database: str = Field(
        "fulfillment", pattern=r"^\w+$", description="database with the table of fulfillments"
    )
