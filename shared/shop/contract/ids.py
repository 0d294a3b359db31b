"""Ids: RFC 9562 UUIDs in their canonical lower-case text form.

A checkout's id is a UUIDv7 (time-ordered). The id of its order, and of the order's fulfillment, is derived from
it as a UUIDv8 that keeps the 48 time bits: the same parent always has the same child, and rows stay in key order.

MariaDB's UUID type refuses a value whose byte 6 is >= 0x80 while byte 8 is <= 0x80, so a derived id has its byte 8
in 0x90..0xbf, and ``ID_PATTERN`` is what both RFC 9562 and MariaDB accept.
"""

from functools import lru_cache
from hashlib import blake2b
from struct import unpack_from

ID_PATTERN = (
    r"^[0-9a-f]{8}-[0-9a-f]{4}-"
    r"(?:[1-7][0-9a-f]{3}-[89ab][0-9a-f]|8[0-9a-f]{3}-(?:8[1-9a-f]|[9ab][0-9a-f]))"
    r"[0-9a-f]{2}-[0-9a-f]{12}$"
)


def time_ordered_id(unix_ms: int, random: int) -> str:
    """The UUIDv7 (RFC 9562, 5.7) of a time in milliseconds and 74 random bits."""
    low = 0x8000_0000_0000_0000 | (random & 0x3FFF_FFFF_FFFF_FFFF)
    high = (unix_ms & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | (random >> 62 & 0x0FFF)
    return _text(high << 64 | low)


@lru_cache(maxsize=16_384)
def order_id_of(checkout_id: str) -> str:
    """The id of the one order that this checkout may become."""
    return _derived("order", checkout_id)


def fulfillment_id_of(order_id: str) -> str:
    """The id of the one fulfillment that this order may have."""
    return _derived("fulfillment", order_id)


def _derived(kind: str, parent: str) -> str:
    random = blake2b(parent.encode(), digest_size=10, person=kind.encode()).hexdigest()
    variant_byte = 0x90 + int(random[3:5], 16) % 0x30
    return f"{parent[:13]}-8{random[:3]}-{variant_byte:02x}{random[5:7]}-{random[7:19]}"


def _text(number: int) -> str:
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def murmur2(key: bytes) -> int:
    """The hash by which Kafka's own clients choose a key's partition: ``murmur2(key) % partitions``.

    Unsigned 32-bit, the sign bit cleared, as Java's ``Utils.toPositive(Utils.murmur2(key))``.
    """
    mask, factor = 0xFFFF_FFFF, 0x5BD1_E995
    length = len(key)
    value = 0x9747_B28C ^ length
    whole = length // 4
    for word in unpack_from(f"<{whole}I", key):
        mixed = word * factor & mask
        value = (value * factor & mask) ^ ((mixed ^ mixed >> 24) * factor & mask)
    if length % 4:
        value = (value ^ int.from_bytes(key[4 * whole :], "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return (value ^ value >> 15) & 0x7FFF_FFFF
