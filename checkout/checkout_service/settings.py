"""The settings of the checkout service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shop.edges.settings import BusinessSettings, HttpPort, KafkaUser, Password


class CheckoutSettings(BusinessSettings):
    model_config = SettingsConfigDict(title="Checkouts")

    kafka_user: KafkaUser = "checkout"
    kafka_password: Password = "checkoutpw"
    http_port: HttpPort = 9101
    checkout_rate: float = Field(
        10.0,
        ge=0,
        le=1_000_000,
        description="checkouts opened per second in the long run, by all instances together; 0 = none",
    )
    conversion: float = Field(0.07, gt=0, le=1, description="share of the checkouts that are submitted")
    customers: int = Field(2000, ge=1, le=20_000, description="people who shop")
    day_curve: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how far the rate swings over a day of 24 h / `SPEED`: 0 = not at all, 1 = from 0 at 4:00 to "
        "double at 16:00 UTC",
    )
