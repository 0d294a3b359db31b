"""Starts the fulfillment service; see README.md."""

from fulfillment_service.projection import FulfillmentTable, writer
from fulfillment_service.rules import fulfillment_rules
from fulfillment_service.settings import FulfillmentSettings
from shop.edges.lock_watch import LockWatch
from shop.edges.process import run
from shop.edges.service import arguments, serve
from shop.edges.settings import load


def main() -> None:
    settings = load(FulfillmentSettings, **arguments("fulfillment"))
    rules = fulfillment_rules(seed=settings.seed, speed=settings.speed)
    engine = writer(settings)
    table = FulfillmentTable(engine, settings)
    locks = LockWatch(engine, settings, lambda: table.batches)
    serve(settings, rules, projection=table, locks=locks)


if __name__ == "__main__":
    run(main)
