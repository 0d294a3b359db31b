"""What the fuzzing starts from: valid events of all three topics, in every status, and the bounds of their texts."""

from collections.abc import Mapping

from shop.contract.events import serialize
from shop.contract.lifecycle import TOPICS
from tools.fuzz.load_data import Column
from tools.kit.business import life

TEXTS = {
    "product_id": "cart_item",
    "payment_method": "checkout",
    **dict.fromkeys(("name", "street", "zip", "city"), "shipping_address"),
}
"""The fields that may hold any text, and the table that holds them."""


def samples() -> dict[str, list[bytes]]:
    """Events on the wire, by topic."""
    found: dict[str, list[bytes]] = {topic: [] for topic in TOPICS}
    for number in range(20, 24):
        for event in life(number):
            found[event.topic].append(serialize(event))
    return found


def bounds(tables: Mapping[str, Mapping[str, Column]]) -> dict[str, int]:
    """The most characters of each text."""
    return {field: int(tables[table][field].size) for field, table in TEXTS.items()}
