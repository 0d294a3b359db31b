"""Topic ids without what the client library leaks for each.

confluent-kafka 2.16 never gives back its own reference to the id of a topic that it describes
(``Admin_c_TopicDescription_to_py``): 188 bytes for each topic and question, 74 MB a day in analytics. It makes an id
by calling whatever ``confluent_kafka.Uuid`` names. A cache in that name makes equal ids one object, so that what
leaks is a count and no memory.
"""

from functools import lru_cache

import confluent_kafka as ck

MANY = 1024
"""Ids that are kept: topics are recreated, and a process lives for weeks."""

_AS_KAFKA_PRINTS_IT = str.maketrans("+/", "-_")


def share_topic_ids() -> None:
    """Makes equal ids one object in this process. Harmless when called again."""
    if isinstance(ck.Uuid, type):
        ck.Uuid = lru_cache(MANY)(ck.Uuid)  # type: ignore[misc, assignment]


def topic_id_text(topic_id: object) -> str:
    """A topic id as Kafka's own tools print it; librdkafka prints base64 with + and /."""
    return str(topic_id).translate(_AS_KAFKA_PRINTS_IT)
