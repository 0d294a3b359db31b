"""Starts the analytics service; see README.md."""

import argparse
import time

import structlog

from analytics_service.ingest.loader import Loader
from analytics_service.ingest.monitoring import Analytics
from analytics_service.ingest.reader import Ingest
from analytics_service.ingest.store import Store, writer
from analytics_service.kpi.console import KpiConsole
from analytics_service.lag import Lag
from analytics_service.settings import AnalyticsSettings
from shop.contract.lifecycle import TOPICS
from shop.edges import database, logging, monitoring
from shop.edges.kafka import kafka_options
from shop.edges.lock_watch import LockWatch
from shop.edges.process import Stop, run, tune_interpreter
from shop.edges.settings import load
from shop.runtime.kafka.admin import Admin
from shop.runtime.kafka.member import GroupMember
from shop.runtime.watchdog import Watchdog

REPLY_SECONDS = 3.0
WATCHDOG_SECONDS = 180
"""The longest turn reads back where to go on, from a database that answers each of several questions in 30 s."""

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
    engine = writer(settings)
    database.wait_until_ready(engine, settings, stop, time.sleep)
    options = kafka_options(settings, "analytics", TOPICS, client_logger)
    admin = Admin(options, REPLY_SECONDS)
    admin.wait_until_ready(stop)
    if stop():
        return
    watchdog = Watchdog(WATCHDOG_SECONDS)
    loader = Loader(Store(engine), admin.topic_ids, settings.queued_batches)
    console = KpiConsole(settings, engine, Lag(options))
    ingest = Ingest(settings, GroupMember(options), admin, engine, loader, heartbeat=watchdog.beat)
    locks = LockWatch(engine, settings, lambda: loader.counts["batches"])
    monitoring.serve(settings, "analytics", Analytics(ingest, loader, admin, locks))
    watchdog.start()
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
