"""The settings of the checkout service."""

from pydantic import Field

from shop.edges.settings import BusinessSettings, Password


class CheckoutSettings(BusinessSettings):
    kafka_user: str = Field("checkout", description="user of Kafka; empty = no login (the port for everybody)")
    kafka_password: Password = Field("checkoutpw", repr=False, description="password of that user")
    http_port: int = Field(9101, ge=0, le=65_535, description="port of /metrics and /health; 0 = none")
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
        description="how far the rate swings over a day of 24 h / SPEED: 0 = not at all, 1 = from 0 to double",
    )
