"""The KPI table in the service's own log."""

import sys
import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from analytics_service.kpi.kpis import Kpis, read, table
from analytics_service.settings import AnalyticsSettings
from shop.edges import terminal
from shop.runtime.errors import Unavailable

WIDTH = 80

log = structlog.get_logger()


class KpiConsole:
    """Prints the KPIs every few seconds, from a thread of its own. Its failures stop nothing."""

    def __init__(self, settings: AnalyticsSettings, engine: Engine, lag: Callable[[], int]) -> None:
        self._settings = settings
        self._engine = engine
        self._lag = lag
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kpis", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Prints no more. Does not wait for a query that is under way."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._settings.kpi_every):
            try:
                self._show(self._kpis())
            except DBAPIError as error:
                log.warning("no KPIs: the database does not answer", reason=str(error.orig))

    def _kpis(self) -> Kpis:
        try:
            lag = self._lag()
        except Unavailable:
            lag = None
        with self._engine.connect() as connection:
            return read(connection, self._settings.kpi_window, lag)

    def _show(self, kpis: Kpis) -> None:
        if self._settings.log_format == "json":
            log.info("kpis", **kpis.as_json())
            return
        console = terminal.console(width=WIDTH)
        with console.capture() as capture:
            console.print(table(kpis))
        # In one piece: other threads write to this stream too.
        sys.stdout.write("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")
