"""The list of what was injected: what the auditor is told to expect, and what the topics must hold of it."""

from chaos.injections import Coordinates, Injection, Injections, event_of

AT, ELSEWHERE = Coordinates("order", 1, 7), Coordinates("order", 1, 9)


def test_what_breaks_a_rule_is_expected_where_it_was_read() -> None:
    injections = Injections()
    once = injections.plan(Injection("published again", "order", row=True, rule="once"))
    letter = injections.plan(Injection("malformed", "order"))
    injections.see(once, AT)
    injections.see(letter, ELSEWHERE)
    assert list(injections.expectations()) == [{"rule": "once", "topic": "order", "partition": 1, "offset": 7}]
    assert injections.count == 2


def test_what_was_taken_must_be_read_once_and_there() -> None:
    injections = Injections()
    numbers = [injections.plan(Injection("malformed", "order")) for _ in range(4)]
    read, lost, doubled, moved = numbers
    for number in numbers:
        injections.acknowledge(number, AT)
    injections.see(read, AT)
    for topic_partition in (AT, ELSEWHERE):
        injections.see(doubled, topic_partition)
    injections.see(moved, ELSEWHERE)
    assert [wrong.split()[1] for wrong in injections.wrongs()] == [str(one) for one in (lost, doubled, moved)]


def test_what_nobody_acknowledged_may_be_there_or_not_but_once() -> None:
    injections = Injections()
    absent, there, twice = (injections.plan(Injection("malformed", "order")) for _ in range(3))
    injections.see(there, AT)
    injections.see(twice, AT)
    injections.see(twice, ELSEWHERE)
    assert [wrong.split()[1] for wrong in injections.wrongs()] == [str(twice)]
    assert absent not in {there, twice}


def test_what_is_never_committed_may_not_be_read() -> None:
    injections = Injections()
    hidden = injections.plan(Injection("hanging", "order", visible=False))
    assert injections.wrongs() == []
    injections.see(hidden, AT)
    assert len(injections.wrongs()) == 1


def test_what_lay_in_a_topic_that_was_recreated_is_forgotten() -> None:
    injections = Injections()
    number = injections.plan(Injection("published again", "order", row=True, rule="once"))
    injections.acknowledge(number, AT)
    injections.see(number, AT)
    injections.forget("order")
    assert injections.wrongs() == []
    assert list(injections.expectations()) == []


def test_nobody_judges_lives_that_began_before_a_topic_was_recreated_but_keys_are_judged_all_the_same() -> None:
    injections = Injections()
    for rule in ("once", "legal", "key"):
        injections.see(injections.plan(Injection(rule, "order", row=True, rule=rule)), AT)
    injections.forget("checkout")
    assert [one["rule"] for one in injections.expectations()] == ["key"]


def test_an_event_is_changed_in_some_fields() -> None:
    assert event_of('{"a": 1, "b": "ä"}'.encode(), a=2) == '{"a": 2, "b": "ä"}'.encode()
