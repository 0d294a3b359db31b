"""Writes the tables that the documentation takes from the code: settings and claims."""

import argparse
import sys

from local import process
from tools.docs import pages


def main() -> int:
    """With --check nothing is written, and exit code 1 means that something is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is out of date")
    if not parser.parse_args().check:
        made = pages.generated()
        for name in pages.write(made):
            print(f"{name} is {'written' if name in made else 'removed'}")
        return 0
    names = pages.outdated(pages.generated())
    if names:
        print(f"out of date: {', '.join(names)}: run `make docs`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(process.run(main))
