"""A page that is written by hand but for one block, which stands between two lines of comment."""

import re

from local.errors import Refusal

BEGIN, END = "<!-- made by `make docs`: do not edit -->", "<!-- written by hand from here on -->"


def filled(page: str, text: str, block: str) -> str:
    """The text of a page with this block in its place. Raises Refusal where the page, so called, has none."""
    filled, blocks = re.subn(
        f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", lambda _: f"{BEGIN}\n\n{block}\n{END}", text, flags=re.DOTALL
    )
    if blocks != 1:
        raise Refusal(f"{page} has no place for what `make docs` makes: write {BEGIN} and, in a later line, {END}")
    return filled
