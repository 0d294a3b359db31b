"""The settings of the order service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shop.edges.settings import BusinessSettings, HttpPort, KafkaUser, Password


class OrderSettings(BusinessSettings):
    model_config = SettingsConfigDict(title="Orders")

    kafka_user: KafkaUser = "order"
    kafka_password: Password = "orderpw"
    http_port: HttpPort = 9102
    dispute_rate: float = Field(0.05, ge=0, le=1, description="share of orders that the merchant disputes")
