"""`make bench`: measures everything, or what is named, each figure beside its reference of the same run."""

import argparse
import os
import sys
import time

import structlog

from local import process
from shop.edges.process import tune_interpreter
from tools.bench import drain, freshness, publish, runtime, whole
from tools.bench.results import record, require_usable
from tools.bench.stage import stage

MEASURES = {"runtime": runtime, "publish": publish, "drain": drain, "freshness": freshness, "whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)} (default: all)")
    wanted = parser.parse_args().measures or list(MEASURES)
    for name in wanted:
        if name not in MEASURES:
            parser.error(f"there is no {name}: give some of {', '.join(MEASURES)}")
    quick = os.environ.get("QUICK", "0") not in {"", "0"}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40), cache_logger_on_first_use=True)
    require_usable()
    tune_interpreter()
    began, figures = time.monotonic(), []
    with stage(quick) as servers:
        for name in wanted:
            print(f"{name} ({time.monotonic() - began:.0f} s)", flush=True)
            figures += MEASURES[name].measure(servers)
    record(figures)
    print(f"{time.monotonic() - began:.0f} s, tools/bench/results.json is written")


if __name__ == "__main__":
    sys.exit(process.run(main))
