"""The settings of the fulfillment service."""

from pydantic import Field

from shop.edges.settings import (
    BusinessSettings,
    DatabaseSettings,
    HttpPort,
    KafkaUser,
    Password,
)


class FulfillmentSettings(BusinessSettings, DatabaseSettings):
    kafka_user: KafkaUser = "fulfillment"
    kafka_password: Password = "fulfillmentpw"
    http_port: HttpPort = 9103
    mariadb_user: str = Field("fulfillment", description="user that may read and write the table of fulfillments")
    mariadb_password: Password = "fulfillmentpw"
    mariadb_database: str = Field("fulfillment", description="database with the table of fulfillments")
