"""How a publishing service is put together from its settings and its rules; ``main.py`` calls nothing else."""

import argparse
from typing import Any

import structlog

from shop.contract.rules import Rules
from shop.edges import logging as service_logging
from shop.edges import monitoring
from shop.edges.kafka import kafka_options
from shop.edges.process import Stop, tune_interpreter
from shop.edges.publisher import Locks, Publisher
from shop.edges.settings import BusinessSettings
from shop.runtime.clock import SystemClock
from shop.runtime.kafka.log import KafkaLog
from shop.runtime.limits import Limits
from shop.runtime.loop import EntitySource, Processor, Projection
from shop.runtime.watchdog import Watchdog

WATCHDOG_SECONDS = 90

log = structlog.get_logger()


def arguments(service: str) -> dict[str, object]:
    """The settings given on the command line; there is one: --accept-loss."""
    parser = argparse.ArgumentParser(prog=f"{service}/main.py", description=f"The {service} service.")
    parser.add_argument(
        "--accept-loss",
        action="store_true",
        help="go on where a committed offset is no longer in the topic (what was between is lost), "
        "and act on triggers of which nothing proves that they are undone (some may be done twice)",
    )
    return {name: value for name, value in vars(parser.parse_args()).items() if value}


def serve(
    settings: BusinessSettings,
    rules: Rules[Any],
    *,
    source: EntitySource | None = None,
    projection: Projection | None = None,
    locks: Locks | None = None,
) -> None:
    """Runs a service until SIGTERM or Ctrl-C. Raises UserError for what only a person can mend.

    ``locks`` watches over the database of the projection.
    """
    stop = Stop()
    clock = SystemClock()
    client_logger = service_logging.configure(settings, rules.topic, clock.elapsed)
    options = kafka_options(settings, rules.topic, (rules.topic, *rules.inputs), client_logger)
    watchdog = Watchdog(WATCHDOG_SECONDS)
    kafka = KafkaLog(options)
    log.info("starting", service=rules.topic, instance=settings.instance, kafka=settings.kafka_bootstrap)
    processor = Processor(
        kafka,
        rules,
        clock,
        Limits(
            transaction_events=settings.transaction_events,
            dedupe_window=settings.dedupe_window,
            dedupe_limit=settings.dedupe_limit,
            hold_limit=settings.hold_limit,
            pending_limit=settings.pending_limit,
        ),
        source=source,
        projection=projection,
        accept_loss=settings.accept_loss,
        heartbeat=watchdog.beat,
    )
    monitoring.serve(settings, rules.topic, Publisher(processor, kafka, watchdog, locks))
    if projection is not None:
        projection.wait_until_ready(stop)
    if locks is not None:
        locks.start()
    kafka.open(stop)
    watchdog.start()
    tune_interpreter()
    processor.run(stop)
    kafka.close()
    log.info("stopped", service=rules.topic, **processor.counts)
