"""Whether what is printed is coloured."""

import os
from typing import TextIO


def wants_colour(stream: TextIO) -> bool:
    """By the conventions of no-color.org and force-color.org, whose values may be anything.

    NO_COLOR, when it is not empty: never. Else FORCE_COLOR, when it is not empty: always. Else on a terminal that is
    not TERM=dumb.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
