"""What a restore makes of committed offsets that are not the service's own, beyond what ``behaviour`` shows."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from shop.contract.events import serialize
from shop.contract.lifecycle import CheckoutStatus
from shop.runtime.checkpoint import Checkpoint, Position, parse
from shop.runtime.log import Committed, Offsets, TopicPartition
from tests.runtime.behaviour import FORGETFUL, NOT_LEFT
from tests.runtime.fake_world import FakeWorld
from tests.runtime.tampering import TAMPERINGS, Situation
from tools.kit.samples import checkout, submitted
from tools.kit.world import PARTITIONS

OLD = range(0, 30, PARTITIONS)
"""Checkouts of partition 0."""


def after_disputes(*numbers: int) -> FakeWorld:
    """A world in which these orders are cancelled, and their service has ended in good order."""
    world = FakeWorld()
    world.start("order", dispute_rate=1.0, limits=FORGETFUL)
    for number in numbers:
        world.publish("checkout", number % PARTITIONS, *submitted(number))
        world.until_statuses("order", CANCELLED=numbers.index(number) + 1)
    world.stop("order")
    return world


def go_on(world: FakeWorld, cancelled: int) -> None:
    world.start("order", dispute_rate=1.0, limits=FORGETFUL)
    world.until_statuses("order", CANCELLED=cancelled)
    world.until_read_to_the_end()
    assert world.statuses("order") == dict.fromkeys(("NEW", "DISPUTED", "CANCELLED"), cancelled)


@pytest.mark.claim(
    "after a crash in the middle of a restore, nothing is believed that was not proved",
    section="offsets",
    tried="broken",
)
def test_a_crash_in_the_middle_of_a_restore_makes_nothing_believed_that_was_not_proved() -> None:
    """Offsets are committed between old triggers: what nothing proves undone, the next one does not act on either."""
    world = after_disputes(*OLD)
    world.delete_records("order", 0, before=world.records("order")[-1].offset)
    world.replace_offsets("order", {})
    world.fetch_size = 1
    world.start("order", dispute_rate=1.0, limits=FORGETFUL)
    topic_partition = TopicPartition("checkout", 0)
    world.until(
        lambda: 0 < world.committed("order").get(topic_partition, (0,))[0] < len(OLD), "some offsets to be committed"
    )
    world.kill("order")
    world.publish("checkout", 0, *submitted(30))
    world.start("order", dispute_rate=1.0, limits=FORGETFUL)
    world.until_statuses("order", CANCELLED=2)
    world.until_read_to_the_end()
    assert world.statuses("order") == {"NEW": 1, "DISPUTED": 1, "CANCELLED": 2}, "one CANCELLED was there"


def test_a_crash_in_the_middle_of_a_proved_restore_costs_no_progress() -> None:
    world = after_disputes(*OLD)
    world.replace_offsets("order", {})
    world.fetch_size = 1
    processor = world.start("order", dispute_rate=1.0, limits=FORGETFUL)
    world.until(lambda: processor.counts["transactions"] > 0, "offsets to be committed")
    world.kill("order")
    assert world.committed("order")[TopicPartition("order", 0)].offset == 0, "all proof is still needed"
    with capture_logs() as logs:
        go_on(world, cancelled=len(OLD))
    assert not [line for line in logs if line["event"].startswith(NOT_LEFT)]


@pytest.mark.claim(
    "an output topic that has lost all its records holds up nothing new", section="offsets", tried="broken"
)
def test_an_output_topic_that_has_lost_all_proves_nothing_of_what_came_before_and_holds_up_nothing_after() -> None:
    world = after_disputes(*OLD)
    world.delete_records("order", 0, before=len(world.broker.log(TopicPartition("order", 0))))
    world.replace_offsets("order", {})
    with capture_logs() as logs:
        world.start("order", dispute_rate=1.0, limits=FORGETFUL)
        world.until_live("order")
        for number in (30, 33):
            world.publish("checkout", 0, *submitted(number))
        world.until_statuses("order", CANCELLED=2)
        world.until_read_to_the_end()
    assert [line["offset"] for line in logs if line["event"] == "unproved message ignored"] == list(range(len(OLD)))
    assert world.statuses("order") == {"NEW": 2, "DISPUTED": 2, "CANCELLED": 2}


@pytest.mark.claim(
    "a recreated input that is filled with its old messages leads to nothing twice", section="offsets", tried="broken"
)
def test_an_input_that_was_recreated_with_what_it_held_before_leads_to_nothing_twice() -> None:
    world = after_disputes(*OLD)
    world.recreate("checkout")
    for number in (*OLD, 30):
        world.publish("checkout", 0, *submitted(number))
    go_on(world, cancelled=len(OLD) + 1)


@pytest.mark.claim("a recreated output topic is not filled again", section="offsets", tried="not broken")
def test_an_output_topic_that_was_recreated_is_not_filled_again() -> None:
    """What was done is done, although the broker has deleted the group's offset together with the topic."""
    world = after_disputes(*OLD)
    world.recreate("order")
    world.publish("checkout", 0, *submitted(30))
    go_on(world, cancelled=1)


def test_a_first_start_warns_of_nothing() -> None:
    world = FakeWorld()
    world.publish("checkout", 0, *submitted(0))
    with capture_logs() as logs:
        go_on(world, cancelled=1)
    assert [line for line in logs if line["log_level"] != "info"] == []


@pytest.mark.parametrize("tampering", [name for name in TAMPERINGS if "input" not in name])
def test_a_service_without_inputs_loses_no_open_entity(tampering: str) -> None:
    world = FakeWorld()
    earlier: Offsets = {}
    for numbers in (range(6), range(6, 12)):
        earlier = world.committed("checkout") if numbers.start else {}
        world.start("checkout", limits=FORGETFUL)
        for number in numbers:
            event = checkout(number, CheckoutStatus.CREATED)
            world.publish("checkout", number % PARTITIONS, event.key.encode(), serialize(event))
        world.until_statuses("checkout", CheckoutSubmitted=numbers.stop)
        world.stop("checkout")
    for number in range(12, 15):
        event = checkout(number, CheckoutStatus.CREATED)
        world.publish("checkout", number % PARTITIONS, event.key.encode(), serialize(event))
    now = Situation("checkout", world.committed("checkout"), earlier, world.ends())
    world.replace_offsets("checkout", TAMPERINGS[tampering](now))
    world.start("checkout", limits=FORGETFUL)
    world.until_statuses("checkout", CheckoutSubmitted=15)
    world.until_read_to_the_end()
    assert set(world.statuses("checkout").values()) == {15}


POSITIONS = {"order": Position("id/+=", 7), "checkout": Position("other", 12)}


def test_a_checkpoint_comes_back_from_its_metadata() -> None:
    checkpoint = Checkpoint(3, "0123abcd", POSITIONS)
    for committed in checkpoint.committed().values():
        assert parse(committed.metadata) == checkpoint


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda text: text[1:],
        lambda text: text[:-1] + "x",
        lambda text: text + " ",
        lambda text: text.replace(" ", "  "),
        lambda text: text.replace(":7", ":07"),
        lambda text: text.replace(" 3 ", " three "),
        lambda text: text.rsplit(" ", 3)[0],
        lambda _: "u/D0 0123abcd",
        lambda _: "{}",
    ],
)
def test_what_is_no_checkpoint_is_taken_for_none(spoil: Callable[[str], str]) -> None:
    assert parse(spoil(str(Checkpoint(3, "0123abcd", POSITIONS)))) is None


def test_offsets_that_a_service_of_another_kind_left_are_not_believed() -> None:
    """It had one input less."""
    world = after_disputes(*OLD)
    checkpoint = parse(world.committed("order")[TopicPartition("order", 0)].metadata)
    assert checkpoint is not None
    fewer = {topic: position for topic, position in checkpoint.positions.items() if topic != "fulfillment"}
    offsets = dict(world.committed("order")) | Checkpoint(0, checkpoint.published, fewer).committed()
    world.replace_offsets("order", offsets | {TopicPartition("fulfillment", 0): Committed(0)})
    with capture_logs() as logs:
        go_on(world, cancelled=len(OLD))
    assert [line for line in logs if line["event"].startswith(NOT_LEFT)]
