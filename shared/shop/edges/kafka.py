"""Kafka as the settings name it."""

import logging

from shop.edges.settings import Settings
from shop.runtime.kafka.options import KafkaOptions


def kafka_options(settings: Settings, group: str, topics: tuple[str, ...], logger: logging.Logger) -> KafkaOptions:
    """How a member of ``group`` reaches the topics that it uses, a publisher's output topic first."""
    return KafkaOptions(
        bootstrap=settings.kafka_bootstrap,
        namespace=settings.namespace,
        group=group,
        instance=settings.instance,
        topics=topics,
        client=settings.kafka_login,
        logger=logger,
    )
