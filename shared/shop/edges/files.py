"""Files of a user's, and what is said where one of them cannot be used."""

import errno
from pathlib import Path

from shop.runtime.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark (Windows' editors write one).

    Raises UserError that names the file where it cannot be read or is something else.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path.absolute()} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.absolute()} is not UTF-8 (line {line}): save it as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path.absolute()} holds a NUL character (line {line}): save it as text in UTF-8")
    return text


def sentence(error: OSError) -> str | None:
    """What to tell a user of an error that nobody caught, where it is about a file or the standard output; else None.

    A write to a file that is open already does not say to which. Our own say so where they are written, so what is
    left is the output, or a temporary file.
    """
    if error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}"
    if error.errno in _FULL:
        return f"{error.strerror}: make room where the output goes, and for temporary files (TMPDIR)"
    if error.errno in {errno.ENOENT, errno.EBADF}:  # no temporary folder anywhere; an output that was closed
        return error.strerror
    return None
