"""``make truth``: what the KPIs must be, once everything has settled, for the checkouts opened so far."""

import argparse
import time
from datetime import UTC, datetime

from rich.console import Console

from shop.edges.process import run, tune_interpreter
from shop.runtime.errors import UserError
from truth.business import Business
from truth.opened import Span, opened
from truth.reckoning import Reckoning
from truth.table import as_json, tables


def moment(text: str) -> datetime:
    """A time in ISO 8601; without an offset it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2027-01-15T08:00:00Z") from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m truth",
        description="What the KPIs must be, once everything has settled, for the checkouts opened so far: computed "
        "from their created events and the services' rules and settings, without a database.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    span = "take only checkouts created (as the broker's clock tells) {} this time: ISO 8601, UTC"
    parser.add_argument("--from", dest="since", metavar="TIME", type=moment, help=span.format("at or after"))
    parser.add_argument("--to", dest="until", metavar="TIME", type=moment, help=span.format("before"))
    options = parser.parse_args()
    if options.since and options.until and options.since >= options.until:
        parser.error("--from must be a time before --to")
    return options


def main() -> None:
    """Reckons and prints. Raises UserError for what keeps it from doing so."""
    options = arguments()
    span = Span(options.since, options.until)
    business = Business.load()
    reckoning = Reckoning(business.rules())
    tune_interpreter()
    began = time.monotonic()
    try:
        for checkout in opened(business.checkout, span):
            reckoning.add(checkout)
    except KeyboardInterrupt:
        raise UserError("interrupted") from None
    seconds = time.monotonic() - began
    truth = reckoning.truth()
    if options.json:
        print(as_json(truth, {"from": span.since, "to": span.until, "settings": business.settings()}))
        return
    console = Console(highlight=False)
    console.print(tables(truth))
    console.print(f"{truth.checkout.created:,} checkouts in {seconds:.1f} s, with the settings of")
    for service, settings in business.settings().items():
        console.print(f"{service:12}", *(f"{name.upper()}={value}" for name, value in settings.items()))


if __name__ == "__main__":
    run(main)
