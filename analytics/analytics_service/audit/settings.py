"""What the auditor can be told."""

from pydantic import Field

from shop.edges.settings import DatabaseSettings, Password


class AuditSettings(DatabaseSettings):
    """Where the topics and both databases are. ``namespace`` and the databases' names make one system of them."""

    mariadb_user: str = Field("auditor", min_length=1, description="user with SELECT on both databases")
    mariadb_password: Password = Field("auditorpw", repr=False, description="password of that user")
    mariadb_database: str = Field("analytics", min_length=1, description="database of analytics")
    fulfillment_database: str = Field("fulfillment", pattern=r"^\w+$", description="database of fulfillment")
