"""Pauses that grow: how long to wait before the next try of what ends by itself."""


class BackOff:
    """``first`` seconds after the first failure, twice as long after each further one, ``longest`` at most."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._last: float | None = None

    def __call__(self) -> float:
        """The pause after one more failure, in seconds."""
        self._last = self._first if self._last is None else min(2 * self._last, self._longest)
        return self._last

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has failed since the start or the last ``reset``."""
        return self._last is None

    def reset(self) -> None:
        """What was tried has succeeded: the next failure is the first again."""
        self._last = None
