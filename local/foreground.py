"""`run` and `run-cluster`: everything at once, in the foreground, until somebody wants it to end."""

import os
import signal
import sys
import time

from local import background, binaries, passwords, programs, stack, venvs
from local.commands import Say, together
from local.console import Console, wants_colour
from local.errors import Refusal
from local.interrupt import Interrupted
from local.locks import claim_stack
from local.paths import ROOT
from local.server import Server
from local.stack import CLUSTER, SINGLE, Layout, Servers
from local.supervisor import Program, end_all

# Together with what it takes to notice, all is over within 10 seconds.
SERVICES_END_WITHIN = 5.5  # seconds; they promise 5
ALL_END_WITHIN = 9.5  # of three brokers the last one waits 5 seconds for another to take over

LOOK_SECONDS = 0.5

SECOND_HTTP_PORTS = {"checkout": 9111, "order": 9112, "fulfillment": 9113, "analytics": 9114}
"""Of the second instance of a service; the first one has that of its settings."""


def run(say: Say) -> None:
    """Make what is missing, start everything, and return when it was interrupted and everything has ended.

    A Kafka and a MariaDB that `up` started are used, and go on afterwards. Raises Refusal where it cannot start.
    """
    with claim_stack("run"):
        layout = Layout.from_environment(SINGLE)
        up = {process.name: process.port for process in background.running().values()}
        if up and up != layout.first_ports:
            raise Refusal("What make up started is on other ports or not complete any more: end it with make down.")
        _run(layout, say, borrowed=bool(up))


def run_cluster(say: Say) -> None:
    """As `run`, with three brokers, each service twice, and data of its own. Raises Refusal where `up` was before."""
    with claim_stack("run-cluster"):
        if background.running():
            raise Refusal("What make up started is one broker, and a cluster is three: end it with make down.")
        _run(Layout.from_environment(CLUSTER), say, borrowed=False)


def _run(layout: Layout, say: Say, *, borrowed: bool) -> None:
    # What would fail only after minutes of downloading is refused at once.
    passwords.require_typeable()
    binaries.require_tools()
    venvs.require_tools()
    if not borrowed:
        layout.require_free()
    servers = _install(layout, say)
    if not borrowed:
        stack.prepare(servers)
    instances = [(service, instance) for service in venvs.SERVICES for instance in range(layout.size.instances)]
    names = [name if layout.size.instances == 1 else f"{name}-{instance}" for name, instance in instances]
    console = Console(
        sys.stdout.fileno(),
        ["shop", *(server.name for server in servers.all), *names],
        colour=wants_colour(),
        on_lost=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    _supervise(
        layout,
        servers,
        [] if borrowed else [_server_program(server, console) for server in servers.all],
        [_service_program(name, *instance, layout, console) for name, instance in zip(names, instances, strict=True)],
        lambda line: console.say("shop", line),
    )
    console.flush()


def _install(layout: Layout, say: Say) -> Servers:
    with together() as pool:
        fetching = pool.submit(programs.ready, say)
        venvs.ensure_all([venvs.of_service(name) for name in venvs.SERVICES], say)
        return stack.servers(fetching.result(), layout)


def _supervise(layout: Layout, servers: Servers, below: list[Program], services: list[Program], say: Say) -> None:
    began = time.monotonic()
    try:
        for program in below:
            program.start()
        stack.set_up(layout, servers, say)
        for program in services:
            program.start()
        say(f"all started after {time.monotonic() - began:.1f} s: {layout}; Ctrl-C ends everything")
        while True:
            # Not for ever: a signal that comes while all of this is stopped may be given to another thread when it
            # goes on, which does not wake this one.
            time.sleep(LOOK_SECONDS)
    except Interrupted:
        say("ending the services" + (", then Kafka and MariaDB" if below else "; Kafka and MariaDB stay up"))
    finally:
        deadline = time.monotonic() + ALL_END_WITHIN
        end_all(services, SERVICES_END_WITHIN)
        end_all(below, deadline - time.monotonic())
    say("everything has ended; started again it goes on where it stopped")


def _server_program(server: Server, console: Console) -> Program:
    return Program(
        server.name,
        server.command,
        console,
        server.folder,
        server.environment,
        when_orphaned=signal.SIGTERM,
        note=f"; its log: {os.path.relpath(server.log, ROOT)}",
    )


def _service_program(name: str, service: str, instance: int, layout: Layout, console: Console) -> Program:
    environment = {"PYTHONUNBUFFERED": "1", **layout.for_services(), **passwords.of_service(service)}
    if layout.size.instances > 1:
        environment["INSTANCE"] = str(instance)
    if instance > 0:
        environment["HTTP_PORT"] = str(SECOND_HTTP_PORTS[service])
    if wants_colour():
        environment["FORCE_COLOR"] = "1"
    return Program(name, ["venv/bin/python", "main.py"], console, ROOT / service, environment)
