"""What must be true of the topics whatever happened, in the fewest words; shares no code with the runtime."""

from collections import defaultdict
from collections.abc import Iterable

from shop.contract.events import Fulfillment, Order, parse
from shop.contract.ids import order_id_of
from shop.contract.lifecycle import CheckoutStatus
from shop.runtime.log import Record

ORDER_PATHS = (
    ("NEW", "MERCHANT_ACCEPTED", "SHIPPED", "COMPLETED"),
    ("NEW", "DISPUTED", "CANCELLED"),
)
FULFILLMENT_PATH = ("SHIPPED", "DELIVERED")


def wrongs(checkouts: Iterable[Record], orders: Iterable[Record], fulfillments: Iterable[Record]) -> list[str]:
    """Every way in which a settled system differs from exactly once; empty when it does not."""
    found: list[str] = []
    submitted = set()
    for record in checkouts:
        event = parse("checkout", record.value)
        if event.status is CheckoutStatus.SUBMITTED:
            submitted.add(order_id_of(event.key))
    paths: dict[str, list[str]] = defaultdict(list)
    for record in orders:
        order = parse("order", record.value)
        assert isinstance(order, Order)
        paths[order.order_id].append(order.status)
    shipping: dict[str, list[str]] = defaultdict(list)
    for record in fulfillments:
        fulfillment = parse("fulfillment", record.value)
        assert isinstance(fulfillment, Fulfillment)
        shipping[fulfillment.order_id].append(fulfillment.status)
    found += [f"order {one} of no submitted checkout" for one in paths.keys() - submitted]
    found += [f"no order {one}" for one in submitted - paths.keys()]
    found += [f"order {one} went {path}" for one, path in paths.items() if tuple(path) not in ORDER_PATHS]
    completed = {one for one, path in paths.items() if tuple(path) == ORDER_PATHS[0]}
    found += [f"fulfillment of {one}, not accepted" for one in shipping.keys() - completed]
    found += [f"no fulfillment of {one}" for one in completed - shipping.keys()]
    found += [
        f"fulfillment of {one} went {path}" for one, path in shipping.items() if tuple(path) != FULFILLMENT_PATH
    ]
    return found
