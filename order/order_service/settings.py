"""The settings of the order service."""

from pydantic import Field

from shop.edges.settings import BusinessSettings, Password


class OrderSettings(BusinessSettings):
    kafka_user: str = Field("order", description="user of Kafka; empty = no login (the port for everybody)")
    kafka_password: Password = Field("orderpw", repr=False, description="password of that user")
    http_port: int = Field(9102, ge=0, le=65_535, description="port of /metrics and /health; 0 = none")
    dispute_rate: float = Field(0.05, ge=0, le=1, description="share of orders that the merchant disputes")
