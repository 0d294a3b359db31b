"""The verbs of `python -m local`, each of which is a target of the Makefile."""

import os
import signal

from local import background, files, foreground, passwords, process, programs, requirements, stack, tied, venvs
from local.errors import Refusal
from local.locks import claim_stack
from local.paths import HOME, ROOT, require_usable

USAGE = "python -m local run | run-cluster | up | down | status | ensure WHAT... | requirements [--upgrade] | clean"
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis")


def main(arguments: list[str]) -> int:
    """Do what the arguments say. Returns 0, or 2 after a last line that says why not, or 130 when interrupted."""

    def do() -> None:
        require_usable()
        _dispatch(*arguments)

    return process.run(do)


def say(line: str) -> None:
    """Print one line, now."""
    print(line, flush=True)


def _dispatch(verb: str = "", *arguments: str) -> None:
    match verb, arguments:
        case "run", ():
            _end_with_make()
            foreground.run(say)
        case "run-cluster", ():
            _end_with_make()
            foreground.run_cluster(say)
        case "up", ():
            stack.up(say)
        case "down", ():
            stack.down(say)
        case "status", ():
            stack.status(say)
        case "ensure", (_, *_):
            _ensure(arguments)
        case "requirements", _:
            requirements.write(list(arguments), say)
        case "clean", ():
            _clean()
        case _:
            raise Refusal(f"usage: {USAGE}")


def _end_with_make() -> None:
    """Nothing is left running when somebody kills the `make` that waits for this."""
    if "MAKELEVEL" in os.environ:
        tied.tie(signal.SIGTERM)


def _ensure(names: tuple[str, ...]) -> None:
    """Make what is named and not made yet: `binaries`, `tools` (for tests and linters) or a service's environment."""
    unknown = set(names) - {"binaries", "tools", *venvs.SERVICES}
    if unknown:
        raise Refusal(f"{', '.join(sorted(unknown))}: this is neither binaries nor tools nor a service.")
    if not {*venvs.SERVICES}.isdisjoint(names):
        # For a program that logs in next.
        passwords.require_typeable()
    if "binaries" in names:
        programs.ready(say)
    wanted = [venvs.of_tools() if name == "tools" else venvs.of_service(name) for name in names if name != "binaries"]
    venvs.ensure_all(wanted, say)


def _clean() -> None:
    with claim_stack("clean"):
        background.end_all(say)
        made = [HOME, ROOT / ".venv", *(ROOT / name / "venv" for name in venvs.SERVICES)]
        for folder in (*made, *(ROOT / name for name in CACHES)):
            files.remove(folder)
        say("all data, programs and environments are gone; make run recreates them")
