"""``python -m analytics_service.kpi``: the KPIs, once or live. Reads only."""

import argparse
import json
import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics_service.kpi import kpis
from analytics_service.lag import Lag
from analytics_service.settings import ReaderSettings
from shop.contract.lifecycle import TOPICS
from shop.edges import database
from shop.edges.database import explain
from shop.edges.kafka import kafka_options
from shop.edges.process import run
from shop.edges.settings import load
from shop.edges.terminal import console
from shop.runtime.errors import Unavailable, UserError

REFRESH_SECONDS = 2.0


def main() -> None:
    """Shows the KPIs. Raises UserError where the window is wrong or the database cannot be reached."""
    parser = argparse.ArgumentParser(prog="python -m analytics_service.kpi", description="The KPIs of the shop.")
    parser.add_argument("--window", help="how far to look back, from 30s to 10m (default: KPI_WINDOW, or 10m)")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--watch", action="store_true", help="stay, and show them live")
    output.add_argument("--json", action="store_true", help="every KPI, as one JSON object")
    arguments = parser.parse_args()
    settings = load(ReaderSettings, **({"kpi_window": arguments.window} if arguments.window else {}))
    engine = database.create(settings)
    silent = logging.getLogger("librdkafka")
    silent.disabled = True
    lag = Lag(kafka_options(settings, "analytics", TOPICS, silent))
    if arguments.watch:
        _watch(settings, engine, lag)
        return
    try:
        now = _kpis(settings, engine, lag, kpis.ALL if arguments.json else kpis.SHOWN)
    except Unavailable as failure:
        raise UserError(str(failure)) from None
    if arguments.json:
        print(json.dumps(now.as_json()))
    else:
        console().print(kpis.table(now))


def _watch(settings: ReaderSettings, engine: Engine, lag: Lag) -> None:
    output = console()
    # A file, a pipe or a dumb terminal cannot take a line back: there each table follows the one before.
    live = Live(Text("..."), console=output, auto_refresh=False, screen=False)
    moves = output.is_terminal and not output.is_dumb_terminal
    with suppress(KeyboardInterrupt), live if moves else nullcontext():
        while True:
            shown: RenderableType
            try:
                shown = kpis.table(_kpis(settings, engine, lag, kpis.SHOWN))
            except Unavailable as failure:
                shown = Text(f"waiting: {failure}")
            if moves:
                live.update(shown, refresh=True)
            else:
                output.print(shown)
            time.sleep(REFRESH_SECONDS)


def _kpis(settings: ReaderSettings, engine: Engine, lag: Lag, views: Mapping[str, str]) -> kpis.Kpis:
    behind: int | None = None
    with suppress(Unavailable):
        behind = lag()
    try:
        with engine.connect() as connection:
            return kpis.read(connection, settings.kpi_window, behind, views)
    except DBAPIError as error:
        raise explain(error, settings) from None


if __name__ == "__main__":
    run(main)
