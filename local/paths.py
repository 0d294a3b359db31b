"""Where things are, and whether they can be there."""

import os
from pathlib import Path

from local.errors import Refusal

ROOT = Path(__file__).resolve().parent.parent
HOME = (ROOT / ".local").resolve()
"""Everything that this package makes at run time; git does not see it."""

LONGEST = 400  # bytes; MariaDB takes no more than 511 for a file, and up to 100 of them are below the checkout


def require_usable(root: Path = ROOT) -> None:
    """Raise Refusal where something that we start cannot be in this folder; any other name will do."""
    path = os.fsencode(root)
    for wrong, reason in (
        (b":" in path, "has a colon, which Python takes for the end of a path"),
        (any(byte in path for byte in b"${}"), "has a dollar sign or a brace, which setuptools takes for a variable"),
        (any(byte < 32 or byte == 127 for byte in path), "has a line break, a tab or another control character"),
        (not _is_utf8(path), "is not UTF-8"),
        (len(path) > LONGEST, f"has {len(path)} bytes, and {LONGEST} is the most that MariaDB can work with"),
    ):
        if wrong:
            raise Refusal(f"The path of this folder {reason}: move or rename it ({str(root)!a}).")


def _is_utf8(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True
