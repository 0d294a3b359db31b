"""A small file system of its own for one server, which can be filled to the last byte and freed again."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

SIZE = 8 * 1024**3  # bytes; the file behind it takes up what is really written
SMALLEST = 4096  # bytes


def allowed() -> bool:
    """Whether this user of this machine may mount a file system."""
    return os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None and Path("/dev/loop-control").exists()


class SmallDisk:
    """The file system in ``folder``.img, mounted at ``folder``, which is empty before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._image = folder.with_suffix(".img")
        self._filler = folder / "filler"
        self._mounted = False

    def mount(self) -> None:
        self._folder.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        _run("mount", "-o", "loop", str(self._image), str(self._folder))
        self._mounted = True

    def fill(self) -> None:
        """Takes all the room that is left. It is empty room: nothing is written to the real disk."""
        size = os.statvfs(self._folder).f_bavail * os.statvfs(self._folder).f_bsize
        with self._filler.open("ab") as filler:
            # The file system needs some of the room to keep account of the rest.
            while size >= SMALLEST:
                try:
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Does nothing where it was never mounted. The image stays."""
        if self._mounted:
            self._mounted = False
            _run("umount", str(self._folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
