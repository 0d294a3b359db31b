"""Starts the fulfillment service; see README.md."""

from fulfillment_service.projection import FulfillmentTable
from fulfillment_service.rules import fulfillment_rules
from fulfillment_service.settings import FulfillmentSettings
from shop.edges import database
from shop.edges.process import run
from shop.edges.service import arguments, serve
from shop.edges.settings import load


def main() -> None:
    settings = load(FulfillmentSettings, **arguments("fulfillment"))
    rules = fulfillment_rules(seed=settings.seed, speed=settings.speed)
    engine = database.create(settings, read_timeout=10)
    serve(settings, rules, projection=FulfillmentTable(engine, settings))


if __name__ == "__main__":
    run(main)
