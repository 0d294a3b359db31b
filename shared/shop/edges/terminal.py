"""Tables and progress for people. It needs rich, which the publishing services do not have."""

import sys

from rich.console import Console

from shop.edges.colour import wants_colour


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """For the standard output, or the standard error. What is coloured by force is no terminal yet: nothing moves the
    cursor of a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        width=width,
        color_system="standard" if wants_colour(stream) else None,
        force_terminal=stream.isatty(),
    )
