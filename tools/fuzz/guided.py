"""The part that atheris guides: what it starts from, and its process."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from local.paths import ROOT
from shop.contract.events import EVENTS, CartItem, ShippingAddress
from shop.contract.lifecycle import TOPICS, CheckoutStatus, FulfillmentStatus, OrderStatus
from tools.fuzz.found import keep
from tools.fuzz.limits import Limits
from tools.fuzz.load_data import analytics_tables
from tools.fuzz.messages import Message
from tools.fuzz.mutation import CODES, IDS, LETTERS, NUMBERS, TIMES, Mutation
from tools.fuzz.outcome import FuzzResult
from tools.fuzz.samples import bounds, samples

CHANGED = 300
"""Of the events that it starts from, how many are changed ones."""


def is_there() -> bool:
    """Whether atheris is installed: there is none for every platform and Python."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(limits: Limits, seed: int) -> FuzzResult:
    """Runs until the limits are reached. A crash or a hang ends it, and is found, too."""
    outcome = FuzzResult("coverage-guided, no database")
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        home = Path(folder)
        _write_corpus(home / "corpus", seed)
        (home / "dictionary").write_text("".join(map(_entry, _words())))
        command = [sys.executable, "-m", "tools.fuzz.coverage", folder, "--seed", str(seed)]
        for name, value in (("--seconds", limits.seconds), ("--inputs", limits.inputs)):
            command += [] if value is None else [name, str(value)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        outcome.seconds = limits.elapsed
        if done.returncode == 0:
            figures = json.loads(done.stdout.splitlines()[-1])
            outcome.inputs, outcome.events = figures["inputs"], figures["events"]
            for file, reason in figures["found"].items():
                outcome.note(Path(file), reason)
            return outcome
        left = [file for file in home.iterdir() if file.name.startswith(("crash-", "timeout-", "oom-"))]
        for file in left:
            for topic in TOPICS:
                message = Message(topic, None, file.read_bytes(), [], (1, 0))
                outcome.note(keep(message), f"{file.name.partition('-')[0]}, as topic {topic} or another")
        if not left:
            outcome.found.append(f"exit code {done.returncode}: {done.stderr[-1000:]}")
    return outcome


def _write_corpus(folder: Path, seed: int) -> None:
    folder.mkdir()
    tables, random = analytics_tables(ROOT), Random(seed)
    mutation = Mutation(random, bounds(tables))
    valid = [sample for of_topic in samples().values() for sample in of_topic]
    changed = [mutation.valid(random.choice(valid)) for _ in range(CHANGED)]
    for number, value in enumerate(valid + changed):
        (folder / str(number)).write_bytes(value)


def _words() -> list[str]:
    """What stands in events, in JSON and in LOAD DATA."""
    fields = {name for model in (*EVENTS.values(), CartItem, ShippingAddress) for name in model.model_fields}
    statuses = {str(status) for kind in (CheckoutStatus, OrderStatus, FulfillmentStatus) for status in kind}
    tokens = [number for number in NUMBERS if len(number) < 64]
    texts = sorted(f'"{word}"' for word in fields | statuses | {*CODES, *IDS, *TIMES})
    escapes = [json.dumps(letter)[1:-1] for letter in LETTERS]
    return [*texts, *tokens, *escapes, "\\ud800", "null", "true", "[[[[", '{"a":']


def _entry(word: str) -> str:
    """A line of the dictionary: all bytes as hex."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"\n' if word else ""
