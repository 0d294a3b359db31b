"""Structured logs: coloured lines for people, JSON for machines, and librdkafka's own lines among them."""

import logging
import os
import signal
import sys
from collections.abc import Callable

import structlog
from structlog.typing import Processor

from shop.edges.colour import wants_colour
from shop.edges.output import Output
from shop.edges.settings import Settings

REPEAT_SECONDS = 30.0


class RepeatFilter(logging.Filter):
    """Lets a line through once per ``REPEAT_SECONDS`` and then says how many of its kind were held back.

    librdkafka says the same of every broker connection several times a second while a broker is away.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._seen: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.getMessage().partition(" ")[0]
        since, repeats = self._seen.get(kind, (float("-inf"), 0))
        if self._now() - since < REPEAT_SECONDS:
            self._seen[kind] = (since, repeats + 1)
            return False
        if repeats:
            record.msg, record.args = f"{record.getMessage()} ({repeats} more like it before)", ()
        self._seen[kind] = (self._now(), 0)
        return True


class OutputHandler(logging.Handler):
    """Puts each record into the output, whichever that is then."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(self.format(record) + "\n")


def configure(settings: Settings, service: str, now: Callable[[], float]) -> logging.Logger:
    """Sets up the logs of this process and returns the logger that librdkafka writes to.

    From then on nothing that is printed or logged waits for whoever reads it. A service whose log nobody can read any
    more (a terminal or a pipe that was closed) is asked to end, as by SIGTERM.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if settings.log_format == "json" else "%H:%M:%S", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor
    if settings.log_format == "json":
        shared.append(_labels(service, settings.instance))
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=wants_colour(sys.stdout), pad_event_to=24)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = OutputHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    client = logging.getLogger("librdkafka")
    client.filters = [RepeatFilter(now)]

    def gap(lines: int) -> str:
        sentence = "the log was not read: %d lines are left out here"
        return handler.format(logging.LogRecord("output", logging.WARNING, "", 0, sentence, (lines,), None)) + "\n"

    sys.stdout = Output(sys.stdout.fileno(), gap, lambda: os.kill(os.getpid(), signal.SIGTERM))
    sys.stderr = Output(sys.stderr.fileno(), gap)
    return client


def _labels(service: str, instance: str) -> Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "service": service, "instance": instance}

    return add
