"""Chance without a generator: every decision is a hash of seed, entity id and question.

The same input always decides the same, so a replay, or a second instance, cannot disagree with the first.
"""

import math
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from statistics import NormalDist

Draw = Callable[[str], float]
"""Answers a question about one entity with a number, uniform in (0, 1)."""

_STANDARD_NORMAL = NormalDist()


def draw(seed: int, entity_id: str, question: str) -> float:
    """A number, uniform in (0, 1), that depends on nothing but the three arguments."""
    digest = blake2b(f"{seed}/{entity_id}/{question}".encode(), digest_size=8).digest()
    return ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2.0**52


def draws(seed: int, entity_id: str) -> Draw:
    """The answers that chance gives about one entity."""
    return partial(draw, seed, entity_id)


def uniform(low: float, high: float, chance: float) -> float:
    """The value between ``low`` and ``high`` at a uniform ``chance``."""
    return low + (high - low) * chance


def log_normal(median: float, sigma: float, chance: float) -> float:
    """The value of a log-normal distribution at a uniform ``chance``: how long people take to think."""
    return median * math.exp(sigma * _STANDARD_NORMAL.inv_cdf(chance))
