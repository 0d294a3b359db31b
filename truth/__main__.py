"""``make truth``: what the KPIs must be, once everything has settled, for the checkouts opened so far."""

import argparse
import time

from shop.edges import times
from shop.edges.process import run, tune_interpreter
from shop.edges.terminal import console
from shop.runtime.errors import UserError
from truth.business import Business
from truth.opened import Span, opened
from truth.reckoning import Reckoning
from truth.table import as_json, show


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m truth",
        description="What the KPIs must be, once everything has settled, for the checkouts opened so far: computed "
        "from their created events and the services' rules and settings, without a database.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    span = "take only checkouts created (as the broker's clock tells) {} this time: ISO 8601, UTC"
    parser.add_argument("--from", dest="since", metavar="TIME", help=span.format("at or after"))
    parser.add_argument("--to", dest="until", metavar="TIME", help=span.format("before"))
    return parser.parse_args()


def main() -> None:
    """Reckons and prints. Raises UserError for what keeps it from doing so."""
    options = arguments()
    span = Span(times.parse("--from", options.since), times.parse("--to", options.until))
    if span.since and span.until and span.since >= span.until:
        raise UserError("--from must be before --to: there is nothing to reckon between them")
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
    output = console()
    show(truth, output)
    output.print(f"{truth.checkout.created:,} checkouts in {seconds:.1f} s, with the settings of", highlight=False)
    for service, settings in business.settings().items():
        output.print(
            f"{service:12}", *(f"{name.upper()}={value}" for name, value in settings.items()), highlight=False
        )


if __name__ == "__main__":
    run(main)
