"""How this package says no."""


class Refusal(Exception):
    """What was asked for cannot be done here. The message is one sentence that says what to do about it."""
