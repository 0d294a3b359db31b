"""python -m local VERB: what the Makefile calls. This file alone has to be readable by any Python 3."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (to be told is better than a syntax error)
    sys.stderr.write(
        "This needs Python 3.11 or newer and %s is %d.%d: install a newer one, or name it with make PYTHON=...\n"  # noqa: UP031
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )
    sys.exit(2)

from local.cli import main

sys.exit(main(sys.argv[1:]))
