"""`run`: everything at once, in the foreground, until somebody wants it to end."""

import os
import signal
import sys
import time

from local import background, binaries, stack, venvs
from local.commands import Say, together
from local.errors import Refusal
from local.interrupt import Interrupted
from local.kafka import Kafka
from local.locks import claim_stack
from local.mariadb import MariaDB
from local.paths import ROOT
from local.server import Server
from local.stack import Ports
from local.supervisor import Console, Program, end_all, wants_colour

# Together with what it takes to notice, all is over within 10 seconds.
SERVICES_END_WITHIN = 5.5  # seconds; they promise 5
SERVERS_END_WITHIN = 4.0


def run(say: Say) -> None:
    """Make what is missing, start everything, and return when it was interrupted and everything has ended.

    A Kafka and a MariaDB that `up` started are used, and go on afterwards. Raises Refusal where it cannot start.
    """
    with claim_stack("run"):
        ports = Ports.from_environment()
        borrowed = background.running()
        _require(ports, borrowed)
        servers = _install(ports, say)
        if not borrowed:
            stack.prepare(*servers)
        console = Console(
            sys.stdout,
            ["shop", *(server.name for server in servers), *venvs.SERVICES],
            colour=wants_colour(),
            on_lost=lambda: os.kill(os.getpid(), signal.SIGTERM),
        )
        _run(ports, servers, [] if borrowed else list(servers), console)


def _require(ports: Ports, borrowed: dict[str, background.Background]) -> None:
    """Refuse at once what would fail only after minutes of downloading."""
    binaries.require_tools()
    venvs.require_tools()
    if not borrowed:
        ports.require_free()
    elif {name: process.port for name, process in borrowed.items()} != {
        Kafka.name: ports.kafka,
        MariaDB.name: ports.mariadb,
    }:
        raise Refusal("What make up started is on other ports or not complete any more: end it with make down.")


def _install(ports: Ports, say: Say) -> tuple[Kafka, MariaDB]:
    with together() as pool:
        fetching = pool.submit(binaries.ensure, say)
        venvs.ensure_all([venvs.of_service(name) for name in venvs.SERVICES], say)
        return stack.servers(fetching.result(), ports)


def _run(ports: Ports, servers: tuple[Kafka, MariaDB], own: list[Server], console: Console) -> None:
    def say(line: str) -> None:
        console.write("shop", line)

    below = [_server_program(server, console) for server in own]
    services = [_service_program(name, ports, console) for name in venvs.SERVICES]
    began = time.monotonic()
    try:
        for program in below:
            program.start()
        stack.set_up(*servers, say)
        for program in services:
            program.start()
        say(f"all started after {time.monotonic() - began:.1f} s: {ports}; Ctrl-C ends everything")
        signal.pause()
    except Interrupted:
        say("ending the services" + (", then Kafka and MariaDB" if own else "; Kafka and MariaDB stay up"))
    finally:
        end_all(services, SERVICES_END_WITHIN)
        end_all(below, SERVERS_END_WITHIN)
    say("everything has ended; started again it goes on where it stopped")


def _server_program(server: Server, console: Console) -> Program:
    return Program(
        server.name,
        server.command,
        console,
        server.home,
        server.environment,
        when_orphaned=signal.SIGTERM,
        note=f"; its log: {server.log.relative_to(ROOT)}",
    )


def _service_program(name: str, ports: Ports, console: Console) -> Program:
    environment = {"PYTHONUNBUFFERED": "1", **ports.for_services()}
    if wants_colour():
        environment["FORCE_COLOR"] = "1"
    return Program(name, ["venv/bin/python", "main.py"], console, ROOT / name, environment)
