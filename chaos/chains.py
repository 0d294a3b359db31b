"""What must be true of the topics in the end, by rules of the harness's own: it shares no code with the auditor, the
contract or the runtime, so that they cannot be wrong together."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

LETTERS = {
    "checkout": {"created": "c", "AddressSubmitted": "a", "PaymentMethodSubmitted": "p", "CheckoutSubmitted": "s"},
    "order": {
        "NEW": "n", "MERCHANT_ACCEPTED": "m", "SHIPPED": "s", "COMPLETED": "c", "DISPUTED": "d", "CANCELLED": "x",
    },
    "fulfillment": {"SHIPPED": "s", "DELIVERED": "d"},
}  # fmt: skip
"""Each status as one letter, so that a life is a short word."""
SHOPPED = {"c", "ca", "cap", "caps"}
SUBMITTED = "caps"
DELIVERED, DISPUTED = "nmsc", "ndx"
ENDS = {DELIVERED[-1], DISPUTED[-1]}
FULFILLED = "sd"
SHOWN = 20


class _Life(NamedTuple):
    """``parent``: the checkout of an order, the order of a fulfillment."""

    word: str
    parent: bytes
    began: float


class Chains:
    """The life of every checkout, order and fulfillment, as one word each."""

    def __init__(self) -> None:
        self._lives: dict[str, dict[bytes, _Life]] = {topic: {} for topic in LETTERS}
        self._recreated_at = self._whole_since = float("-inf")

    def add(self, topic: str, value: bytes, at: float) -> str:
        """Takes in an event that the services made, or must treat like one; ``at`` is the broker's time of it.
        Returns the letter of its status. Raises ValueError or KeyError where it is no event."""
        event: dict[str, Any] = json.loads(value)
        name = event[f"{topic}_id"]
        letter = LETTERS[topic].get(event["status"])
        if letter is None:
            raise ValueError(f"{topic} {name} becomes {event['status']!r}")
        parent = "order_id" if topic == "fulfillment" else "checkout_id"
        lives, key = self._lives[topic], _bytes(name)
        before = lives.get(key)
        if before is None:
            began = min(at, datetime.fromisoformat(event["created_at"]).timestamp())
            lives[key] = _Life(letter, _bytes(event[parent]), began)
        else:
            lives[key] = before._replace(word=before.word + letter)
        return letter

    @property
    def in_flight(self) -> int:
        """Orders that were placed, are judged, and have not come to their end. Any thread may ask."""
        lives = list(self._lives["order"].values())
        return sum(life.word[-1] not in ENDS for life in lives if life.began >= self._whole_since)

    def forget(self, at: float, until: float) -> None:
        """A topic was recreated, which was noticed by ``until``: what began before is judged no more."""
        self._recreated_at, self._whole_since = at, until

    def remembers(self, topic: str, name: str) -> bool:
        """Whether the checkout that a life belongs to began after the last topic was recreated: the auditor forgets
        the others. Any thread may ask."""
        life = self._lives[topic].get(_bytes(name))
        for parent in {"checkout": (), "order": ("checkout",), "fulfillment": ("order", "checkout")}[topic]:
            life = None if life is None else self._lives[parent].get(life.parent)
        return life is not None and life.began >= self._recreated_at

    def entities(self, topic: str) -> int:
        """How many there are."""
        return len(self._lives[topic])

    @property
    def whole(self) -> bool:
        """Whether everything is judged."""
        return self._whole_since == float("-inf")

    def wrongs(self) -> list[str]:
        """Every way in which the settled shop differs from exactly once, the first ``SHOWN`` of them in words."""
        found = list(self._wrongs())
        return found if len(found) <= SHOWN else [*found[:SHOWN], f"and {len(found) - SHOWN} more"]

    def _wrongs(self) -> Iterator[str]:
        orders_of = self._children("order")
        fulfillments_of = self._children("fulfillment")
        for checkout, life in self._judged("checkout"):
            if life.word not in SHOPPED:
                yield f"checkout {UUID(bytes=checkout)} went {life.word}"
            orders = orders_of.pop(checkout, [])
            if len(orders) != (life.word == SUBMITTED):
                yield f"checkout {UUID(bytes=checkout)} went {life.word} and has {len(orders)} orders"
            for order in orders:
                word = self._lives["order"][order].word
                if word not in {DELIVERED, DISPUTED}:
                    yield f"order {UUID(bytes=order)} went {word}"
                fulfillments = fulfillments_of.pop(order, [])
                if len(fulfillments) != (word == DELIVERED):
                    yield f"order {UUID(bytes=order)} went {word} and has {len(fulfillments)} fulfillments"
                for fulfillment in fulfillments:
                    shipped = self._lives["fulfillment"][fulfillment].word
                    if shipped != FULFILLED:
                        yield f"fulfillment {UUID(bytes=fulfillment)} went {shipped}"
        if self.whole:
            yield from (f"orders without a checkout: {UUID(bytes=one)}" for one in orders_of)
            yield from (f"fulfillments without a judged order: {UUID(bytes=one)}" for one in fulfillments_of)

    def _judged(self, topic: str) -> Iterator[tuple[bytes, _Life]]:
        return ((key, life) for key, life in self._lives[topic].items() if life.began >= self._whole_since)

    def _children(self, topic: str) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        for key, life in self._lives[topic].items():
            found.setdefault(life.parent, []).append(key)
        return found


def _bytes(name: str) -> bytes:
    return UUID(name).bytes
