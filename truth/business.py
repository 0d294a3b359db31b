"""The rules of the three publishing services, with the settings that each of them would load."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkout_service.customers import Customers
from checkout_service.rules import checkout_rules
from checkout_service.settings import CheckoutSettings
from fulfillment_service.rules import fulfillment_rules
from order_service.rules import order_rules
from order_service.settings import OrderSettings
from shop.contract.rules import Rules
from shop.edges.settings import BusinessSettings, load

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Business:
    """The settings on which decisions depend."""

    checkout: CheckoutSettings
    order: OrderSettings
    fulfillment: BusinessSettings

    @classmethod
    def load(cls) -> "Business":
        """What the services would load: the environment, then the ``.env`` of each. Raises UserError."""
        return cls(
            load(CheckoutSettings, _env_file=ROOT / "checkout" / ".env"),
            load(OrderSettings, _env_file=ROOT / "order" / ".env"),
            # Without its database, on which no decision depends.
            load(BusinessSettings, _env_file=ROOT / "fulfillment" / ".env"),
        )

    def rules(self) -> tuple[Rules[Any], ...]:
        """The rules of all services. ``SPEED`` is none of them: it only says when."""
        checkout, order = self.checkout, self.order
        customers = Customers(checkout.seed, checkout.customers)
        return (
            checkout_rules(
                seed=checkout.seed, speed=1.0, conversion=checkout.conversion, address_of=customers.address_of
            ),
            order_rules(seed=order.seed, speed=1.0, dispute_rate=order.dispute_rate),
            fulfillment_rules(seed=self.fulfillment.seed, speed=1.0),
        )

    def settings(self) -> dict[str, dict[str, float]]:
        """The settings that decide, by service and name."""
        return {
            "checkout": self.checkout.model_dump(include={"seed", "conversion", "customers"}),
            "order": self.order.model_dump(include={"seed", "dispute_rate"}),
            "fulfillment": self.fulfillment.model_dump(include={"seed"}),
        }
