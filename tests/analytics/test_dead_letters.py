"""A dead letter takes what no client of ours would write."""

import json

import pytest
from sqlalchemy import text

from analytics_service.audit.topics import _message
from analytics_service.dead_letters import LONGEST_REASON, reason_of
from shop.contract.events import parse, serialize
from tests.analytics.foreign_headers import produce
from tests.analytics.world import Shop
from tools.kit.business import life, lives


@pytest.mark.parametrize("name", ["a\nb", "\0", "\u2028", "\x1b[2J", "\n" * LONGEST_REASON, " " * LONGEST_REASON])
def test_the_reason_is_one_line_whatever_the_name_of_an_unknown_field(name: str) -> None:
    fields = json.loads(serialize(next(life(1)))) | {name: 1}
    with pytest.raises(ValueError, match="Extra inputs") as error:
        parse("checkout", json.dumps(fields).encode())
    reason = reason_of(error.value)
    assert reason.isprintable()
    assert reason.endswith(": Extra inputs are not permitted")
    assert len(reason) <= LONGEST_REASON


def test_header_names_that_are_no_utf8_end_nothing(shop: Shop) -> None:
    topic = f"{shop.namespace}checkout"
    # As many as make Python take short cuts.
    shop.topics.produce([("checkout", None, b"no event, either")] * 100, headers=[("fine", b"1")])
    produce(shop.bootstrap, topic, b"no event", [(b"fine", b"1"), (b"\xff", b"2")])
    produce(shop.bootstrap, topic, serialize(next(life(500))), [(b"\xff", b"3")])
    shop.topics.publish(lives(range(5)))
    shop.start()
    shop.wait_for(len(shop.messages()))
    shop.verify()
    with shop.engine().connect() as connection:
        query = "SELECT reason, headers FROM dead_letter WHERE message_value = :value"
        letter = connection.execute(text(query), {"value": b"no event"}).one()
    assert letter.headers is None
    assert letter.reason.startswith("its headers cannot be read: 'utf-8' codec can't decode byte 0xff")
    # The auditor, which reads the headers of every message, comes through, too.
    assert all(_message(message, 0).headers in (None, [("fine", b"1")]) for message in shop.messages().values())
