"""Pauses that grow: how long to wait before the next try of what ends by itself."""


class BackOff:
    """``first`` seconds after the first failure, twice as long after each further one, ``longest`` at most."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def __call__(self) -> float:
        """The pause after one more failure, in seconds."""
        pause, self._next = self._next, min(2 * self._next, self._longest)
        return pause

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has failed since the start or the last ``reset``."""
        return self._next == self._first

    def reset(self) -> None:
        """What was tried has succeeded: the next failure is the first again."""
        self._next = self._first
