"""Files of this checkout, and what is said where one of them cannot be used."""

import errno
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from local.errors import Refusal
from local.paths import HOME, ROOT

FULL = (errno.ENOSPC, errno.EDQUOT)
_HINTS = {
    errno.EEXIST: "it is in the way, so move it",
    errno.ENOTDIR: "a folder is needed there",
    errno.EISDIR: "a file is needed there",
    errno.EROFS: "use a checkout that can be written",
}


def sentence(error: OSError) -> str:
    """What a user is told of an error that is about a file."""
    path = Path(os.fsdecode(error.filename) if error.filename else HOME).absolute()
    if error.errno in FULL:
        return f"{error.strerror}: make room for {path} and for where the output goes."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return _whose(path, error)
    hint = _HINTS.get(error.errno or 0)
    return f"{path} cannot be used: {error.strerror}{f' ({hint})' if hint else ''}."


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there. Raises Refusal that names it where that fails."""
    try:
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refusal(sentence(OSError(error.errno, error.strerror, str(folder)))) from None


def require_room(folder: Path, megabytes: int) -> None:
    """Raise Refusal where less is free for this user in a folder, or in the nearest above it that is there."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    room = os.statvfs(there)
    free = room.f_bavail * room.f_frsize // 2**20
    if free < megabytes:
        raise Refusal(
            f"{folder} needs {megabytes} MB and only {free} MB are free there: make room, or move the checkout."
        )


def require_ours() -> None:
    """Raise Refusal where the servers could not write what an earlier start left here: one with sudo, most likely."""
    if os.geteuid() == 0:
        return
    for path in _written():
        if path.lstat().st_uid != os.geteuid() and not os.access(path, os.W_OK):
            raise Refusal(sentence(PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))))


def _written() -> Iterator[Path]:
    yield HOME
    yield from (path for path in HOME.iterdir() if path.is_file())
    for part in ("data", "log"):
        for folder, _, files in os.walk(HOME / part):
            yield Path(folder)
            yield from (Path(folder, name) for name in files)


def _whose(path: Path, error: OSError) -> str:
    """Names the owner: of what is there, or of the folder in which it cannot be made."""
    there = next((each for each in (path, *path.parents) if os.path.lexists(each)), path)
    owner, user = _name(there.lstat().st_uid), _name(os.geteuid())
    if owner == user:
        return f"{path} cannot be used: {error.strerror} (chmod u+rwX {there})."
    which = "it" if there == path else there
    return (
        f"{path} cannot be used: {error.strerror}, because {which} belongs to {owner} and not to {user} "
        f"(was make called with sudo?): sudo chown -R {user} {ROOT}"
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
