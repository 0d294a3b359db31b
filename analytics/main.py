"""Starts the analytics service; see README.md."""

import argparse
import time

import structlog
from confluent_kafka import Consumer

from analytics_service import kafka
from analytics_service.ingest.loader import Loader
from analytics_service.ingest.monitoring import Analytics
from analytics_service.ingest.reader import Ingest
from analytics_service.ingest.store import Store, writer
from analytics_service.kafka import Broker, Lag
from analytics_service.kpi.console import KpiConsole
from analytics_service.settings import AnalyticsSettings
from analytics_service.streams import Streams
from shop.edges import database, logging, monitoring
from shop.edges.lock_watch import LockWatch
from shop.edges.process import Stop, run, tune_interpreter
from shop.edges.settings import load

log = structlog.get_logger()


def arguments() -> dict[str, object]:
    """The settings given on the command line; there is one."""
    parser = argparse.ArgumentParser(prog="analytics/main.py", description=__doc__)
    parser.add_argument(
        "--accept-loss",
        action="store_true",
        help="go on where the topic lost offsets that are not stored, and record the gap",
    )
    return {name: value for name, value in vars(parser.parse_args()).items() if value}


def serve(settings: AnalyticsSettings, stop: Stop) -> None:
    """Runs the service until ``stop``. Raises UserError for what only a person can mend."""
    client_logger = logging.configure(settings, "analytics", time.monotonic)
    log.info("starting", service="analytics", instance=settings.instance, kafka=settings.kafka_bootstrap)
    streams = Streams(settings.namespace)
    engine = writer(settings)
    database.wait_until_ready(engine, settings, stop, time.sleep)
    client = kafka.client(settings, client_logger)
    broker = Broker(client, streams)
    broker.wait_until_ready(stop, time.sleep)
    if stop():
        return
    loader = Loader(Store(engine), broker.topic_ids, settings.queued_batches)
    console = KpiConsole(settings, engine, Lag(broker, client, streams))
    ingest = Ingest(settings, lambda: Consumer(kafka.consumer(settings, client_logger)), broker, engine, loader)
    locks = LockWatch(engine, settings, lambda: loader.counts["batches"])
    monitoring.serve(settings, "analytics", Analytics(ingest, loader, broker, streams, locks))
    loader.start()
    locks.start()
    console.start()
    tune_interpreter()
    ingest.run(stop)
    console.end()
    locks.end()
    log.info("stopped", service="analytics")


def main() -> None:
    serve(load(AnalyticsSettings, **arguments()), Stop())


if __name__ == "__main__":
    run(main)
