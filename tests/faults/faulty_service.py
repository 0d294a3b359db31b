"""Runs a service's own main.py with a Kafka client that stops its process at a point of a transaction.

    python -m tests.faults.faulty_service order --point "after offsets before commit" --signal KILL --after 3

The product has no switch for this: the client classes that it is given are wrapped here.
"""

import argparse
import functools
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import confluent_kafka as ck

from shop.edges import service as edge
from shop.runtime.kafka.log import KafkaLog

POINTS = (
    "after produce before offsets",
    "after offsets before commit",
    "after commit",
    "mid-fold",
)


class Fault:
    """Sends this process a signal when its point has been passed for the n-th time, once."""

    def __init__(self, point: str, number: int, after: int) -> None:
        self._point, self._signal, self._left = point, number, after

    def at(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                print(f"FAULT at {point}", flush=True)
                os.kill(os.getpid(), self._signal)


class FaultyProducer(ck.Producer):
    def __init__(self, fault: Fault, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._fault = fault
        self._produced = 0

    def produce(self, *arguments: Any, **options: Any) -> None:
        self._produced += 1
        super().produce(*arguments, **options)

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        if self._produced:
            self._fault.at("after produce before offsets")
        super().send_offsets_to_transaction(*arguments)

    def commit_transaction(self, *arguments: Any) -> None:
        if self._produced:
            self._fault.at("after offsets before commit")
        super().commit_transaction(*arguments)
        if self._produced:
            self._fault.at("after commit")
        self._produced = 0


class FaultyConsumer(ck.Consumer):
    """Counts polls that give output records between an assignment and the first transaction: the fold."""

    def __init__(self, fault: Fault, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._fault = fault

    def poll(self, timeout: float = -1) -> ck.Message | None:
        message = super().poll(timeout)
        if message is not None and message.error() is None:
            self._fault.at("mid-fold")
        return message


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("--point", choices=POINTS, required=True)
    parser.add_argument("--signal", choices=["KILL", "STOP"], default="KILL")
    parser.add_argument("--after", type=int, default=1)
    parser.add_argument("--session-seconds", type=int, default=10, help="after which the group takes it for dead")
    options = parser.parse_args()
    fault = Fault(options.point, getattr(signal, f"SIG{options.signal}"), options.after)
    edge.KafkaLog = functools.partial(  # type: ignore[attr-defined, assignment]
        KafkaLog,
        consumer=lambda config: FaultyConsumer(
            fault, config | {"session.timeout.ms": options.session_seconds * 1000}
        ),
        producer=functools.partial(FaultyProducer, fault),
    )
    folder = Path(__file__).parents[2] / options.service
    sys.argv = [f"{options.service}/main.py"]
    sys.path.insert(0, str(folder))
    runpy.run_path(str(folder / "main.py"), run_name="__main__")


if __name__ == "__main__":
    main()
