"""What the runtime guarantees, said once. ``test_fake_world`` and ``test_real_world`` run all of it."""

import pytest
from structlog.testing import capture_logs

from shop.contract.events import Fulfillment, Order, serialize
from shop.contract.ids import fulfillment_id_of, order_id_of
from shop.contract.lifecycle import FulfillmentStatus, OrderStatus
from shop.runtime.limits import Limits
from shop.runtime.log import Offsets
from tests.runtime.tampering import TAMPERINGS, Situation
from tools.kit.samples import START, checkout, submitted
from tools.kit.world import PARTITIONS, World


def fulfillment_of(number: int, status: FulfillmentStatus) -> tuple[bytes, bytes]:
    order_id = order_id_of(checkout(number).checkout_id)
    event = Fulfillment(
        fulfillment_id=fulfillment_id_of(order_id),
        order_id=order_id,
        status=status,
        created_at=START,
        updated_at=START,
    )
    return event.key.encode(), serialize(event)


def order_of(number: int, status: OrderStatus) -> tuple[bytes, bytes]:
    source = checkout(number)
    assert source.shipping_address is not None
    event = Order(
        order_id=order_id_of(source.checkout_id),
        status=status,
        **source.model_dump(exclude={"status", "cart_items", "shipping_address"}),
        cart_items=source.cart_items,
        shipping_address=source.shipping_address,
    )
    return event.key.encode(), serialize(event)


FORGETFUL = Limits(dedupe_window=0.0, dedupe_limit=0, offsets_interval=0.1)
NOT_LEFT = "committed offsets are not those that this service left"
UNNOTICED = {"all restored from a backup"}
"""Is a set that the service itself has committed: to go on from there is right, and nothing tells."""


class Behaviour:
    """Each method is a test; ``world`` is the set it plays on."""

    @pytest.fixture
    def world(self) -> World:
        raise NotImplementedError

    def submit(self, world: World, *numbers: int) -> None:
        for number in numbers:
            world.publish("checkout", number % PARTITIONS, *submitted(number))

    def test_every_submitted_checkout_becomes_one_order_that_is_completed(self, world: World) -> None:
        world.start("order")
        world.start("fulfillment")
        self.submit(world, *range(30))
        world.until_statuses("order", COMPLETED=30)
        assert world.statuses("order") == {"NEW": 30, "MERCHANT_ACCEPTED": 30, "SHIPPED": 30, "COMPLETED": 30}
        assert world.statuses("fulfillment") == {"SHIPPED": 30, "DELIVERED": 30}

    def test_a_disputed_order_is_cancelled_and_never_shipped(self, world: World) -> None:
        world.start("order", dispute_rate=1.0)
        world.start("fulfillment")
        self.submit(world, 1, 2, 3)
        world.until_statuses("order", CANCELLED=3)
        assert world.statuses("order") == {"NEW": 3, "DISPUTED": 3, "CANCELLED": 3}
        assert world.records("fulfillment") == []

    @pytest.mark.claim("a reaction goes to the partition number of its trigger", section="triggers", tried="broken")
    def test_a_reaction_goes_to_the_partition_number_of_its_trigger(self, world: World) -> None:
        world.start("order")
        world.start("fulfillment")
        self.submit(world, *range(9))
        world.until_statuses("order", COMPLETED=9)
        home = {order_id_of(checkout(number).checkout_id): number % PARTITIONS for number in range(9)}
        for topic in ("order", "fulfillment"):
            for record in world.records(topic):
                assert record.key is not None
                assert record.partition == home[record.key.decode()]

    @pytest.mark.claim("an event is applied to the fold when it is decided", section="triggers", tried="broken")
    def test_a_trigger_doubled_in_one_batch_acts_once(self, world: World) -> None:
        self.submit(world, 1, 1, 1)
        world.start("order")
        world.until_statuses("order", MERCHANT_ACCEPTED=1)
        world.until_read("order", 5)
        assert world.statuses("order")["NEW"] == 1

    def test_a_trigger_doubled_across_a_restart_acts_once(self, world: World) -> None:
        world.start("order", dispute_rate=1.0)
        self.submit(world, 1)
        world.until_statuses("order", CANCELLED=1)
        world.stop("order")
        self.submit(world, 1, 4)
        world.start("order", dispute_rate=1.0)
        world.until_statuses("order", CANCELLED=2)
        assert world.statuses("order") == {"NEW": 2, "DISPUTED": 2, "CANCELLED": 2}

    @pytest.mark.claim("an event that is early waits", section="triggers", tried="broken")
    def test_delivered_that_arrives_together_with_shipped_waits_for_it(self, world: World) -> None:
        self.submit(world, 1)
        world.publish("fulfillment", 1, *fulfillment_of(1, FulfillmentStatus.SHIPPED))
        world.publish("fulfillment", 1, *fulfillment_of(1, FulfillmentStatus.DELIVERED))
        world.start("order")
        world.until_live("order")
        world.until(lambda: world.services["order", "0"].counts["read"] >= 3, "all inputs to be read")
        if "NEW" not in world.statuses("order"):
            world.until_statuses("order", NEW=1)
        world.publish("fulfillment", 1, *fulfillment_of(1, FulfillmentStatus.SHIPPED))
        world.publish("fulfillment", 1, *fulfillment_of(1, FulfillmentStatus.DELIVERED))
        world.until_statuses("order", COMPLETED=1)
        order = ["NEW", "MERCHANT_ACCEPTED", "SHIPPED", "COMPLETED"]
        assert [str(event.status) for event in world.events("order")] == order

    @pytest.mark.claim(
        "an orphan is logged with its coordinates and blocks nothing", section="triggers", tried="broken"
    )
    def test_an_orphan_is_counted_logged_with_its_coordinates_and_blocks_nothing(self, world: World) -> None:
        world.start("order")
        world.until_live("order")
        with capture_logs() as logs:
            world.publish("fulfillment", 1, *fulfillment_of(1, FulfillmentStatus.SHIPPED))
            world.until(
                lambda: any(line["event"] == "orphan message ignored" for line in logs), "the orphan in the log"
            )
        orphan = next(line for line in logs if line["event"] == "orphan message ignored")
        assert (orphan["topic"], orphan["partition"], orphan["offset"]) == ("fulfillment", 1, 0)
        self.submit(world, 1, 4)
        world.until_statuses("order", MERCHANT_ACCEPTED=2)

    @pytest.mark.claim(
        "a message that is no event is logged once and skipped", section="triggers", tried="not broken"
    )
    def test_messages_that_are_not_events_are_logged_once_and_passed_over(self, world: World) -> None:
        world.start("order")
        key, value = submitted(1)
        bad = [b"", b"{", b"null", b"\xff\xfe", None, value[:-1] + b',"more":1}', value.replace(b"39.8", b'"39.8"')]
        bad += [b"[" * 10_000, value.replace(b"39.8", b"NaN"), value.replace(b"39.8", b"1e400")]
        with capture_logs() as logs:
            for one in bad:
                world.publish("checkout", 1, key, one)
            self.submit(world, 1)
            world.until_statuses("order", MERCHANT_ACCEPTED=1)
        invalid = [line for line in logs if line["event"] == "invalid message ignored"]
        assert [line["offset"] for line in invalid] == list(range(len(bad)))
        assert world.statuses("order")["NEW"] == 1

    def test_a_message_under_a_wrong_or_missing_key_is_acted_on_by_its_value(self, world: World) -> None:
        world.start("order")
        world.publish("checkout", 0, None, submitted(1)[1])
        world.publish("checkout", 0, b"wrong", submitted(2)[1])
        world.until_statuses("order", MERCHANT_ACCEPTED=2)

    @pytest.mark.claim("an illegal event in the output topic is not folded", section="triggers", tried="broken")
    def test_an_illegal_event_of_somebody_else_on_the_output_topic_is_ignored_by_the_fold(self, world: World) -> None:
        world.start("order", dispute_rate=1.0)
        self.submit(world, 1)
        world.until_statuses("order", CANCELLED=1)
        with capture_logs() as logs:
            world.publish("order", 1, *order_of(1, OrderStatus.COMPLETED))
            world.until(lambda: any(line["event"] == "illegal message ignored" for line in logs), "a line in the log")
        self.submit(world, 1)
        self.submit(world, 4)
        world.until_statuses("order", CANCELLED=2)
        assert world.statuses("order") == {"NEW": 2, "DISPUTED": 2, "CANCELLED": 2, "COMPLETED": 1}

    @pytest.mark.claim("a transaction's marker counts as progress", section="restore", tried="broken")
    def test_a_restart_with_nothing_to_read_is_live_again(self, world: World) -> None:
        world.start("order", dispute_rate=1.0)
        self.submit(world, 1)
        world.until_statuses("order", CANCELLED=1)
        world.until_read("order", 4)
        world.stop("order")
        world.start("order", dispute_rate=1.0)
        world.until_live("order")
        self.submit(world, 4)
        world.until_statuses("order", CANCELLED=2)
        assert world.statuses("order")["NEW"] == 2

    @pytest.mark.claim("instances join and leave, and nothing is lost or doubled", section="failures", tried="broken")
    def test_instances_that_join_and_leave_lose_and_double_nothing(self, world: World) -> None:
        world.start("order", "0")
        world.start("fulfillment")
        self.submit(world, *range(10))
        world.until_statuses("order", NEW=5)
        world.start("order", "1")
        self.submit(world, *range(10, 20))
        world.until_live("order", "1")
        self.submit(world, *range(20, 30))
        world.until_statuses("order", NEW=25)
        world.stop("order", "0")
        world.expire("order", "0")
        world.until_statuses("order", COMPLETED=30)
        assert set(world.statuses("order").values()) == {30}
        assert set(world.statuses("fulfillment").values()) == {30}

    def test_nothing_is_decided_while_an_open_transaction_hides_output_records(self, world: World) -> None:
        self.submit(world, 1)
        abort = world.open_transaction("order", 1, b"not an event")
        world.publish("order", 1, *order_of(1, OrderStatus.NEW))
        processor = world.start("order")
        world.until(lambda: bool(processor.counts["read"] == 0 and world.services), "the start")
        world.until(lambda: (abort() or True) if not processor.live else False, "the fold to wait")
        world.until_statuses("order", MERCHANT_ACCEPTED=1)
        assert world.statuses("order")["NEW"] == 1

    @pytest.mark.claim(
        "a recreated topic is read from its start, while the service runs and when it starts",
        section="offsets",
        tried="broken in 3 ways",
    )
    def test_a_recreated_topic_is_read_from_its_start(self, world: World) -> None:
        world.start("order", dispute_rate=1.0)
        self.submit(world, 1, 4, 7)
        world.until_statuses("order", CANCELLED=3)
        world.until_read("order", 12)
        world.recreate("checkout")
        self.submit(world, 10)
        world.until_statuses("order", CANCELLED=4)
        assert world.statuses("order")["NEW"] == 4

    @pytest.mark.claim(
        "whatever somebody does to committed offsets (23 ways), nothing is doubled or stuck",
        section="offsets",
        tried="broken in 4 ways",
    )
    @pytest.mark.parametrize("tampering", TAMPERINGS)
    def test_whatever_somebody_does_to_committed_offsets_nothing_is_doubled_or_stuck(
        self, world: World, tampering: str
    ) -> None:
        """Nothing is remembered of closed entities but what the offsets make a restore read."""
        services = ("order", "fulfillment")
        earlier: dict[str, Offsets] = {}
        for numbers in (range(9), range(9, 18)):
            earlier = {service: world.committed(service) for service in services} if numbers.start else earlier
            for service in services:
                world.start(service, limits=FORGETFUL)
            self.submit(world, *numbers)
            world.until_statuses("order", COMPLETED=numbers.stop)
            world.stop("fulfillment")
            if numbers.start:
                self.submit(world, 18, 19, 20)
                world.until_statuses("order", MERCHANT_ACCEPTED=21)
            world.stop("order")
        self.submit(world, 21, 22, 23)
        with capture_logs() as logs:
            for service in services:
                now = Situation(service, world.committed(service), earlier[service], world.ends())
                changed = TAMPERINGS[tampering](now)
                assert changed != now.committed
                world.replace_offsets(service, changed)
                world.start(service, limits=FORGETFUL)
            world.until_statuses("order", COMPLETED=24)
            world.until_read_to_the_end()
        assert set(world.statuses("order").values()) == {24}
        assert world.statuses("fulfillment") == {"SHIPPED": 24, "DELIVERED": 24}
        said = [line for line in logs if line["event"].startswith(NOT_LEFT)]
        assert bool(said) == (tampering not in UNNOTICED)
        assert all("/" in line["found"] for line in said)
        with capture_logs() as logs:
            for service in services:
                world.stop(service)
                world.start(service, limits=FORGETFUL)
                world.until_live(service)
        assert not [line for line in logs if line["event"].startswith(NOT_LEFT)], "it is said once"

    @pytest.mark.claim(
        "triggers that nothing proves undone are named, and acted on only on demand",
        section="offsets",
        tried="broken",
    )
    def test_triggers_that_nothing_proves_undone_are_named_and_acted_on_only_on_demand(self, world: World) -> None:
        """The output topic has lost its first records, and the offsets are gone."""
        world.start("order", dispute_rate=1.0, limits=FORGETFUL)
        for numbers in (range(0, 9, PARTITIONS), range(9, 18, PARTITIONS)):
            self.submit(world, *numbers)
            world.until_statuses("order", CANCELLED=len(range(0, numbers.stop, PARTITIONS)))
        world.stop("order")
        first = next(r.offset for r in world.records("order") if r.key == order_of(9, OrderStatus.NEW)[0])
        world.delete_records("order", 0, before=first)
        self.submit(world, 18)
        world.replace_offsets("order", {})
        with capture_logs() as logs:
            world.start("order", dispute_rate=1.0, limits=FORGETFUL)
            world.until_statuses("order", CANCELLED=4)
            world.until_read_to_the_end()
        named = [line["offset"] for line in logs if line["event"] == "unproved message ignored"]
        assert named == [0, 1, 2]
        assert world.statuses("order") == {"NEW": 4, "DISPUTED": 4, "CANCELLED": 4}
        world.stop("order")
        world.start("order", dispute_rate=1.0, limits=FORGETFUL)
        world.until_live("order")
        world.until_read_to_the_end()
        assert world.statuses("order")["NEW"] == 4, "later neither"
        world.stop("order")
        world.replace_offsets("order", {})
        world.start("order", dispute_rate=1.0, limits=FORGETFUL, accept_loss=True)
        world.until_statuses("order", CANCELLED=7)
        assert set(world.statuses("order").values()) == {7}

    @pytest.mark.claim(
        "partitions may be added to all topics while services run", section="triggers", tried="not broken"
    )
    def test_partitions_added_to_all_topics_are_used_and_old_entities_stay_where_they_are(self, world: World) -> None:
        world.start("order")
        world.start("fulfillment")
        self.submit(world, *range(6))
        world.until_statuses("order", NEW=6)
        for topic in ("checkout", "fulfillment", "order"):
            world.add_partitions(topic, PARTITIONS + 2)
        world.publish("checkout", PARTITIONS + 1, *submitted(100))
        world.until_statuses("order", COMPLETED=7)
        assert set(world.statuses("order").values()) == {7}
        assert {r.partition for r in world.records("order")} == {*range(PARTITIONS), PARTITIONS + 1}

    @pytest.mark.claim(
        "an entity that waits forever is abandoned, and an error says so", section="triggers", tried="broken"
    )
    def test_an_entity_that_waits_for_ever_is_abandoned_loudly(self, world: World) -> None:
        with capture_logs() as logs:
            world.start("order", limits=Limits(hold_limit=20, dedupe_window=0.0, offsets_interval=0.1))
            self.submit(world, 0)
            world.until_statuses("order", MERCHANT_ACCEPTED=1)
            self.submit(world, *range(3, 60, PARTITIONS))
            world.until(
                lambda: any(line["event"].startswith("entity abandoned") for line in logs), "it to be abandoned"
            )
        line = next(line for line in logs if line["event"].startswith("entity abandoned"))
        assert line["entity"] == order_id_of(checkout(0).checkout_id)
        assert line["log_level"] == "error"

    @pytest.mark.claim("backpressure pauses and resumes the inputs", section="triggers", tried="broken")
    def test_inputs_are_paused_above_the_pending_limit_and_resumed(self, world: World) -> None:
        wanted = ["inputs paused", "inputs resumed"]
        with capture_logs() as logs:
            for number in range(0, 90, PARTITIONS):
                world.publish("order", number % PARTITIONS, *order_of(number, OrderStatus.MERCHANT_ACCEPTED))
            world.start("fulfillment", limits=Limits(pending_limit=10))
            world.until(lambda: [x["event"] for x in logs if "inputs" in x["event"]][:2] == wanted, f"{wanted}")
            world.until_statuses("fulfillment", SHIPPED=30)
        assert world.statuses("fulfillment") == {"SHIPPED": 30}
