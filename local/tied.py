"""Runs a command that gets a signal when the process that started it is gone, however that ended.

    python -I -S tied.py PARENT_PID SIGNAL COMMAND [ARGUMENT ...]

It sets this in itself and then becomes the command. (Doing it between fork and exec, in the parent's
code, is not safe once the parent has threads.)
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def tie(number: int) -> None:
    """From now on this process gets that signal when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def main() -> None:
    parent, number, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    tie(number)
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
