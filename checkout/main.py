"""Starts the checkout service; see README.md."""

from random import Random

from checkout_service.arrivals import Arrivals
from checkout_service.catalogue import Catalogue
from checkout_service.customers import Customers
from checkout_service.pace import Pace
from checkout_service.rules import checkout_rules
from checkout_service.settings import CheckoutSettings
from shop.edges.process import run
from shop.edges.service import arguments, serve
from shop.edges.settings import load


def main() -> None:
    settings = load(CheckoutSettings, **arguments("checkout"))
    customers = Customers(settings.seed, settings.customers)
    rules = checkout_rules(
        seed=settings.seed,
        speed=settings.speed,
        conversion=settings.conversion,
        address_of=customers.address_of,
    )
    # Not of the seed: a second instance, or the next run, must not open checkouts with the same ids again.
    random = Random()
    pace = Pace(settings.checkout_rate, settings.day_curve, settings.speed, random)
    arrivals = Arrivals(pace, Catalogue(settings.seed), customers.user_ids, random)
    serve(settings, rules, source=arrivals)


if __name__ == "__main__":
    run(main)
