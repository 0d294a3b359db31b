"""As whom a client logs in, and the error when the broker refuses it."""

from collections.abc import Mapping
from typing import Any

import confluent_kafka as ck
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]

from shop.runtime.errors import UserError

READ, WRITE = AclOperation.READ, AclOperation.WRITE


class Login:
    """Notices when the broker refuses the name or the password of a client: librdkafka tries again for ever, and says
    so by a callback only."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.user = config.get("sasl.username") or "ANONYMOUS"
        self._address = config["bootstrap.servers"]
        self._refusal = ""

    def note(self, error: ck.KafkaError) -> None:
        """For ``error_cb``, which the client calls while it is polled."""
        if error.code() == ck.KafkaError._AUTHENTICATION:
            self._refusal = error.str().partition(": ")[2]

    def require(self) -> None:
        """Raises UserError where the broker has refused."""
        if self._refusal:
            raise UserError(
                f"Kafka at {self._address} does not let user {self.user} in: set KAFKA_USER and KAFKA_PASSWORD, "
                f"or run ./init-kafka.sh, which makes the users ({self._refusal})"
            )

    def not_allowed(self, verb: str, topic: str, why: str = "") -> UserError:
        """What to say where the user may not ``verb`` (read, write) the topic."""
        hint = why or "run ./init-kafka.sh, which gives the rights"
        return UserError(f"Kafka at {self._address} does not let user {self.user} {verb} topic {topic}: {hint}")
