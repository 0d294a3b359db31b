"""The settings of the order service."""

from pydantic import Field

from shop.edges.settings import BusinessSettings


class OrderSettings(BusinessSettings):
    dispute_rate: float = Field(0.05, ge=0, le=1, description="share of orders that the merchant disputes")
