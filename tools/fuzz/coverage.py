"""Bytes that atheris makes up, guided by the branches they reach: a process of its own, which it takes over.

    python -m fuzz.coverage FOLDER --seconds 10 --inputs 0 --seed 1

FOLDER holds what it starts from. Prints what it did as a line of JSON.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from random import Random
from typing import NoReturn

import atheris

with atheris.instrument_imports(include=["shop.contract", "analytics_service"]):
    from local.paths import ROOT
    from shop.contract.lifecycle import TOPICS
    from tools.fuzz.found import keep
    from tools.fuzz.limits import Limits
    from tools.fuzz.load_data import analytics_tables
    from tools.fuzz.messages import Message
    from tools.fuzz.mutation import Mutation
    from tools.fuzz.properties import Tables, judge
    from tools.fuzz.samples import bounds, samples

LARGEST = 8192
SLOWEST_SECONDS = 10
"""An input that takes longer hangs."""


class Target:
    """What each input is given to."""

    def __init__(self, limits: Limits, tables: Tables) -> None:
        self._limits, self._tables = limits, tables
        self._bounds = bounds(tables)
        self._samples = [sample for of_topic in samples().values() for sample in of_topic]
        self._inputs = self._events = 0
        self._found: dict[str, str] = {}

    def __call__(self, data: bytes) -> None:
        """Judges the bytes as a message of each topic; ends the process when the limits are reached."""
        for topic in TOPICS:
            try:
                self._events += judge(topic, data, self._tables) is not None
            except BaseException as error:  # a panic of the parser is no Exception
                file = keep(Message(topic, None, data, [], (1, 0)))
                self._found[str(file)] = f"{type(error).__name__}: {error}"
                break
        self._inputs += 1
        if self._limits.reached(self._inputs, len(self._found)):
            self._end()

    def mutate(self, data: bytes, most: int, seed: int) -> bytes:
        """Another input: an event with other fields, or bytes as atheris changes them."""
        random = Random(seed)
        if random.random() < 0.5:
            mutation = Mutation(random, self._bounds)
            change = random.choice((mutation.valid, mutation.nearly_valid))
            try:
                changed = change(data)
            except (ValueError, AttributeError, TypeError, RecursionError):
                changed = change(random.choice(self._samples))  # it was no event
            if len(changed) <= most:
                return changed
        return bytes(atheris.Mutate(data, most))

    def _end(self) -> NoReturn:
        figures = {"inputs": self._inputs, "events": self._events, "found": self._found}
        print(json.dumps(figures), flush=True)
        os._exit(0)  # what runs this would report a crash


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz.coverage", description="The part of python -m fuzz that atheris guides."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    target = Target(Limits(options.seconds, options.inputs), analytics_tables(ROOT))
    own = {
        "dict": options.folder / "dictionary",
        "seed": options.seed,
        "max_len": LARGEST,
        "timeout": SLOWEST_SECONDS,
        "artifact_prefix": f"{options.folder}/",
        "verbosity": 0,
    }
    arguments = [sys.argv[0], str(options.folder / "corpus"), *(f"-{name}={value}" for name, value in own.items())]
    atheris.Setup(arguments, target, custom_mutator=target.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
