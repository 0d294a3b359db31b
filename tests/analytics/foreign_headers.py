"""Messages as other clients can write them and ours cannot: with header names that are no UTF-8."""

import ctypes
from collections.abc import Sequence

from confluent_kafka import cimpl

RawHeaders = Sequence[tuple[bytes, bytes]]

_TOPIC, _VALUE, _PARTITION, _FLAGS, _HEADERS, _END = 1, 4, 3, 7, 10, 0
"""Of rd_kafka_vtype_t, in librdkafka's rdkafka.h."""
_COPY = 2


def produce(bootstrap: str, topic: str, value: bytes, headers: RawHeaders) -> None:
    """Publishes one message to partition 0, by the C library that our client comes with."""
    library = ctypes.CDLL(cimpl.__file__)
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, function).restype = ctypes.c_void_p
    why = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), why, ctypes.c_size_t(512))
    producer = ctypes.c_void_p(library.rd_kafka_new(0, conf, why, ctypes.c_size_t(512)))
    assert producer, why.value
    made = ctypes.c_void_p(library.rd_kafka_headers_new(ctypes.c_size_t(len(headers))))
    for name, content in headers:
        sizes = ctypes.c_ssize_t(len(name)), ctypes.c_ssize_t(len(content))
        assert library.rd_kafka_header_add(made, name, sizes[0], content, sizes[1]) == 0
    error = library.rd_kafka_producev(
        producer,
        *(_TOPIC, ctypes.c_char_p(topic.encode())),
        *(_PARTITION, ctypes.c_int(0)),
        *(_FLAGS, ctypes.c_int(_COPY)),
        *(_VALUE, ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(_HEADERS, made),
        _END,
    )
    assert error == 0, error
    assert library.rd_kafka_flush(producer, 20_000) == 0
    library.rd_kafka_destroy(producer)
