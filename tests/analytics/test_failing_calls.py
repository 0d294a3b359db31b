"""Any call of the client library may be the one that tells of an error: analytics goes on after each, and is ended
where one hangs."""

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from analytics_service.ingest.store import Store
from shop.runtime.watchdog import EXIT_HUNG
from tests.analytics.test_outages import running, settings_of
from tests.analytics.world import Shop, wait
from tools.kit.business import life
from tools.kit.failing import FAILURES, Failing

CONSUMER = ("poll", "consume", "subscribe", "assign", "assignment", "resume", "commit")
ADMIN = ("describe_topics", "describe_cluster", "list_offsets")


@pytest.mark.claim(
    "analytics survives an error out of any client call", section="analytics", tried="broken in 3 ways"
)
@pytest.mark.parametrize("failure", FAILURES)
def test_analytics_goes_on_after_an_error_out_of_any_client_call(
    shop: Shop, engine: Engine, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    # Else the second fatal error within a minute would name another process in the slot.
    monkeypatch.setattr("shop.runtime.kafka.member.FENCED_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr("analytics_service.ingest.reader.LONGEST_PAUSE", 0.5)
    failing, published = Failing(), 0
    failing.patch(AdminClient, ADMIN, monkeypatch.setattr)
    settings = settings_of(shop).model_copy(update={"batch_messages": 100})
    with running(engine, settings, failing.client(Consumer, CONSUMER), Store(engine)) as service:
        for number, call in enumerate((*CONSUMER, *ADMIN)):
            failing.arm(call, FAILURES[failure]())
            if call != "poll":
                # What a restore alone calls is called then, too.
                failing.arm("poll", FAILURES["a fatal error"]())
            published += shop.topics.publish(life(number))

            def is_over(expected: int = published, call: str = call) -> bool:
                return service.done() or (shop.count() == expected and failing.has_raised(call))

            wait(is_over, f"analytics to go on after {failure} of {call}")
            assert not service.done(), service.exception()
    shop.verify()


@pytest.mark.claim("the watchdog ends a service of which a client call hangs", section="analytics", tried="broken")
def test_analytics_is_ended_where_a_client_call_hangs(shop: Shop) -> None:
    service = shop.start("analytics", module="tests.faults.hanging_service")
    shop.topics.publish(life(1))
    assert service.ended() == EXIT_HUNG
    assert service.says("CALL HANGS")
    assert service.says("a client call hangs: ending the process")
