"""Client classes of which any call can be made to raise, once, while a service runs on them."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import confluent_kafka as ck

Client = TypeVar("Client", bound=type[Any])

FAILURES: dict[str, Callable[[], Exception]] = {
    "an error": lambda: ck.KafkaException(ck.KafkaError(ck.KafkaError._TRANSPORT, "made by a test")),
    "a fatal error": lambda: ck.KafkaException(ck.KafkaError(ck.KafkaError._FATAL, "made by a test", fatal=True)),
    "a masked error": lambda: AttributeError("made by a test"),
}


class Failing:
    """What is to raise, and what has raised. Safe from several threads."""

    def __init__(self) -> None:
        self._armed: dict[str, Exception] = {}
        self._lock = threading.Lock()

    def arm(self, call: str, failure: Exception) -> None:
        """The next ``call`` raises this."""
        with self._lock:
            self._armed[call] = failure

    def has_raised(self, call: str) -> bool:
        return call not in self._armed

    def client(self, kind: Client, calls: tuple[str, ...]) -> Client:
        """``kind``, whose ``calls`` raise when they are armed."""
        members = {call: self._guarded(call, getattr(kind, call)) for call in calls}
        return type(f"Failing{kind.__name__}", (kind,), members)  # type: ignore[return-value]

    def patch(self, kind: type[Any], calls: tuple[str, ...], patch: Callable[[type[Any], str, Any], None]) -> None:
        """Makes the ``calls`` of a class raise that nobody can pass another one for; ``patch``: pytest's
        ``setattr``."""
        for call in calls:
            patch(kind, call, self._guarded(call, getattr(kind, call)))

    def _guarded(self, call: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(client: Any, *arguments: Any, **options: Any) -> Any:
            with self._lock:
                failure = self._armed.pop(call, None)
            if failure is not None:
                raise failure
            return original(client, *arguments, **options)

        return guarded
