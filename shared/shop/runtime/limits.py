"""Bounds of the runtime; see the settings of the same names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of the runtime; see the settings of the same names."""

    transaction_events: int = 2000
    transaction_interval: float = 0.2
    offsets_interval: float = 1.0
    dedupe_window: float = 300.0
    dedupe_limit: int = 10_000
    hold_limit: int = 200_000
    pending_limit: int = 100_000
