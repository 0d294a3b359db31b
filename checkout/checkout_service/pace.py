"""When shoppers come: a Poisson process whose rate wanders slowly and may follow the hours of a day."""

import math
from datetime import datetime
from random import Random

WANDER_SECONDS = 60.0
"""How long the rate remembers that it was high or low (the time constant of an Ornstein-Uhlenbeck process)."""
WANDER_SIGMA = 0.25
"""Spread of the logarithm of the rate: two thirds of the time it is within a quarter of its mean."""
STEP_SECONDS = 1.0
"""The rate stays constant for so long, then it is drawn anew."""
CATCH_UP_SECONDS = 1.0
"""What was missed longer ago (no broker, no partitions, a suspended laptop) is never made up for."""
BUSIEST_HOUR = 16
"""UTC; the quietest is twelve hours away."""


class Pace:
    """Counts arrivals, ``rate`` per second in the long run; 0 = none.

    ``day_curve`` is how far the rate swings over a day: 0 = not at all, 1 = from nothing at night to twice the mean.
    A day takes 24 hours divided by ``speed``.
    """

    def __init__(self, rate: float, day_curve: float, speed: float, random: Random) -> None:
        self._mean_rate = rate
        self._day_curve = day_curve
        self._speed = speed
        self._random = random
        self._at = -math.inf
        self._until = -math.inf
        self._factor = 1.0
        self._wander = random.gauss(0.0, WANDER_SIGMA)
        self._rate = 0.0
        # How much the next arrival is still away, in units of the mean gap: valid however the rate changes meanwhile.
        self._gap = random.expovariate(1.0)

    def arrivals(self, elapsed: float, now: datetime, share: float, max_entities: int) -> int:
        """How many arrive from the last call until ``elapsed`` (seconds that never jump): at most ``max_entities``,
        the rest at the next call. ``share`` is the part of all arrivals that comes here, between the last call and
        this."""
        self._at = max(self._at, elapsed - CATCH_UP_SECONDS)
        arrived = 0
        while arrived < max_entities and self._at < elapsed:
            if self._at >= self._until:
                self._draw_factor(now)
            self._rate = self._mean_rate * self._factor * share
            end = min(self._until, elapsed)
            ahead = (end - self._at) * self._rate
            if self._gap < ahead:
                arrived += 1
                self._at += self._gap / self._rate
                self._gap = self._random.expovariate(1.0)
            else:
                self._gap -= ahead
                self._at = end
        return arrived

    def next_arrival(self) -> float | None:
        """The elapsed seconds at which the next one comes if the rate stays as it is; None while it is 0."""
        return self._at + self._gap / self._rate if self._rate > 0 else None

    def _draw_factor(self, now: datetime) -> None:
        kept = math.exp(-STEP_SECONDS / WANDER_SECONDS)
        self._wander = self._random.gauss(kept * self._wander, WANDER_SIGMA * math.sqrt(1 - kept**2))
        # The mean of exp(wander) is exp(sigma^2 / 2), and that of the day curve over a day is 1.
        hour = now.timestamp() * self._speed / 3600 % 24
        day = 1 - self._day_curve * math.cos((hour - BUSIEST_HOUR + 12) / 24 * math.tau)
        self._factor = day * math.exp(self._wander - WANDER_SIGMA**2 / 2)
        self._until = self._at + STEP_SECONDS
