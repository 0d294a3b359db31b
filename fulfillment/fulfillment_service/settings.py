"""The settings of the fulfillment service."""

from pydantic import Field

from shop.edges.settings import BusinessSettings, DatabaseSettings, Password


class FulfillmentSettings(BusinessSettings, DatabaseSettings):
    kafka_user: str = Field("fulfillment", description="user of Kafka; empty = no login (the port for everybody)")
    kafka_password: Password = Field("fulfillmentpw", repr=False, description="password of that user")
    http_port: int = Field(9103, ge=0, le=65_535, description="port of /metrics and /health; 0 = none")
    mariadb_user: str = Field("fulfillment", description="user of MariaDB")
    mariadb_password: Password = Field("fulfillmentpw", repr=False, description="password of that user")
    mariadb_database: str = Field("fulfillment", description="database of the fulfillment table")
