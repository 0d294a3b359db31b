"""Kafka and MariaDB, ready to be started often: with the classes of a broker in the form in which Java has them in
memory (JEP 350), because half of a broker's start goes into loading them."""

import os
import tempfile
from pathlib import Path

from local import binaries
from local.binaries import Binaries
from local.cluster import Cluster, Ports
from local.commands import Say
from local.kafka import Kafka
from local.locks import wait_for
from local.paths import HOME, ROOT


def ready(say: Say = print) -> Binaries:
    """Return the programs, after fetching what is not here yet. Raises Refusal where the machine lacks something."""
    programs = binaries.ensure(say)
    if not programs.broker_classes.is_file():
        with wait_for("classes"):
            if not programs.broker_classes.is_file():
                say("keeping the classes that Kafka loads, so that it starts in half the time (5 s, once)")
                _keep_classes(programs)
    return programs


def _keep_classes(programs: Binaries) -> None:
    """Let a broker with nothing to do start and end: Java writes the classes down when it ends."""
    made = programs.broker_classes.with_suffix(".new")
    keeping = f"-XX:ArchiveClassesAtExit={os.path.relpath(made, ROOT)}"
    with tempfile.TemporaryDirectory(dir=HOME) as home:
        cluster = Cluster.at(Path(home), Ports.free())
        broker = Kafka(programs, cluster, cluster.nodes[0], java=[keeping])
        try:
            broker.start()
            broker.wait_ready()
            broker.stop()
        finally:
            broker.kill()
    made.rename(programs.broker_classes)
