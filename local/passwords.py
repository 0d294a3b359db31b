"""The passwords of the shop's users, as the environment has them, and how a broker's settings hold them."""

import json
import os
import unicodedata

from local.errors import Refusal

OF_KAFKA_USERS = (
    "CHECKOUT_PASSWORD",
    "ORDER_PASSWORD",
    "FULFILLMENT_PASSWORD",
    "ANALYTICS_PASSWORD",
    "AUDITOR_PASSWORD",
)
SETTINGS = ("KAFKA_ADMIN_PASSWORD", *OF_KAFKA_USERS, "USER_PASSWORD")
UNFIT = {"Cc": "nobody can type or see", "Zl": "ends a line", "Zp": "ends a line", "Cs": "is not UTF-8"}
"""Which categories of characters Kafka's tools, or an environment, do not take in a password, and why."""


def require_typeable() -> None:
    """Raise Refusal where a password of the environment has a character that cannot be in one, or not there."""
    for setting in OF_KAFKA_USERS:
        if of(setting).strip(" ") != of(setting):
            raise Refusal(
                f"{setting} begins or ends with a space, which Kafka's clients or tools cut off: leave it out."
            )
    for setting in SETTINGS:
        for character in of(setting):
            if why := UNFIT.get(unicodedata.category(character)):
                raise Refusal(f"{setting} has the character U+{ord(character):04X} in it, which {why}: leave it out.")


def of(setting: str) -> str:
    """The password that the environment has, read as UTF-8 whatever the locale is; empty where it has none."""
    return os.environb.get(setting.encode(), b"").decode(errors="surrogateescape")


def of_service(service: str) -> dict[str, str]:
    """What tells a service the password that its users have been given, where the environment has one."""
    password = os.environ.get(f"{service.upper()}_PASSWORD")
    return {"KAFKA_PASSWORD": password, "MARIADB_PASSWORD": password} if password else {}


def plain_login(**options: str) -> str:
    """A sasl.jaas.config of PLAIN with these options."""
    quoted = (f' {name}="{_escaped(value)}"' for name, value in options.items())
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required{''.join(quoted)};"


def as_property(value: object) -> str:
    """The value as it stands in a file of Java properties, which Java reads as Latin-1 with escapes."""
    return json.dumps(str(value))[1:-1]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
