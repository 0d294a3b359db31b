"""Starts the order service; see README.md."""

from order_service.rules import order_rules
from order_service.settings import OrderSettings
from shop.edges.process import run
from shop.edges.service import arguments, serve
from shop.edges.settings import load


def main() -> None:
    settings = load(OrderSettings, **arguments("order"))
    rules = order_rules(seed=settings.seed, speed=settings.speed, dispute_rate=settings.dispute_rate)
    serve(settings, rules)


if __name__ == "__main__":
    run(main)
