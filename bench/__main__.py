"""`make bench`: measures everything, each figure beside its reference of the same run."""

import os
import time

import structlog

from bench import drain, freshness, publish, runtime, whole
from bench.results import record
from bench.stage import stage
from shop.edges.process import tune_interpreter

MEASURES = (runtime, publish, drain, freshness, whole)


def main() -> None:
    quick = os.environ.get("QUICK", "0") not in {"", "0"}
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40), cache_logger_on_first_use=True)
    tune_interpreter()
    began, figures = time.monotonic(), []
    for one in MEASURES:
        print(f"{one.__name__.rpartition('.')[2]} ({time.monotonic() - began:.0f} s)", flush=True)
        with stage(quick) as servers:
            figures += one.measure(servers)
    record(figures)
    print(f"{time.monotonic() - began:.0f} s, bench/results.json is written")


if __name__ == "__main__":
    main()
