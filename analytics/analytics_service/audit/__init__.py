"""The auditor: recomputes everything from the topics, compares it with both databases, and names what breaks a rule.

``python -m analytics_service.audit --help`` tells how people use it; tests call ``audit``.
"""

import logging
from collections.abc import Callable, Iterable

from analytics_service.audit.auditor import RULES, Auditor, Progress, no_progress
from analytics_service.audit.report import Coordinates, Report, Violation, read_expectations
from analytics_service.audit.rules import Terms
from analytics_service.audit.settings import AuditSettings
from analytics_service.audit.shop import RealShop
from analytics_service.audit.tables import TableReader
from analytics_service.audit.topics import TopicReader
from shop.contract.lifecycle import TOPICS
from shop.edges import database
from shop.edges.kafka import kafka_options

__all__ = ["RULES", "AuditSettings", "Coordinates", "Report", "Violation", "audit", "read_expectations"]

STUCK_SECONDS = 60.0


def audit(
    settings: AuditSettings,
    *,
    settled: bool = False,
    expect: Iterable[Coordinates] = (),
    stuck_after: float = STUCK_SECONDS,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Report:
    """Audits the topics and tables that ``settings`` name, up to where they are now; reads only.

    Raises UserError or Unavailable, each in one sentence, when something is missing or does not answer.
    """
    silent = logging.getLogger("analytics_service.audit.librdkafka")
    silent.disabled = True
    topics = TopicReader(kafka_options(settings, "audit", TOPICS, silent))
    engine = database.create(settings)
    try:
        shop = RealShop(topics, TableReader(engine, settings, settings.fulfillment_database), say)
        report = Report(RULES.items(), expect)
        Auditor(shop, Terms(shop.now, int(stuck_after * 1000), settled), report, progress).run()
    finally:
        topics.close()
        engine.dispose()
    return report
