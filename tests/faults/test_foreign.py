"""What somebody else does to our topics: open transactions, triggers published twice, restarts on quiet topics."""

import signal

import pytest

from shop.contract.events import parse
from shop.contract.lifecycle import CheckoutStatus
from shop.runtime.log import Record
from tools.kit.shop import Shop, wait_until


def submissions(shop: Shop) -> list[Record]:
    records = shop.world.records("checkout")
    return [one for one in records if parse("checkout", one.value).status is CheckoutStatus.SUBMITTED]


@pytest.mark.claim(
    "an open foreign transaction delays the fold, and nothing is decided twice", section="restore", tried="not broken"
)
def test_an_open_foreign_transaction_holds_the_fold_up_and_nothing_is_decided_twice(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    shop.services["order", "0"].send(signal.SIGKILL)
    shop.services["order", "0"].until_dead()
    aborts = [shop.world.open_transaction("order", partition, b"somebody's") for partition in range(3)]
    successor = shop.start("order")
    successor.until_logged("reading the output topic")
    for abort in aborts:
        assert not successor.has_logged("caught up"), "the successor must wait for the foreign transactions"
        abort()
    shop.until_completed(5)
    shop.must_be_clean()


def test_a_trigger_published_again_acts_once_in_the_same_batch_and_across_a_restart(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    repeated = []
    for restart in (False, True):
        if restart:
            assert shop.services["order", "0"].stop() == 0
        again = submissions(shop)[-1]
        for _ in range(2):
            shop.world.publish("checkout", again.partition, again.key, again.value)
        repeated.append(again)
        if restart:
            shop.start("order")
    shop.until_completed(5)
    shop.settle()
    copies: list[Record] = []
    for one in repeated:
        copies += [other for other in submissions(shop) if other.value == one.value and other.offset > one.offset]
    expected = shop.folder / "expected.csv"
    lines = {f"once,checkout,{copy.partition},{copy.offset}" for copy in copies}
    expected.write_text("\n".join(["rule,topic,partition,offset", *sorted(lines)]) + "\n")
    assert len(lines) == 4
    audited = shop.audit("--settled", "--expect", str(expected))
    assert audited.returncode == 0, audited.stdout + audited.stderr


def test_a_restart_with_nothing_to_read_goes_on_when_something_comes(shop: Shop) -> None:
    shop.start_all()
    shop.until_completed(3)
    shop.settle()
    for service in ("order", "fulfillment"):
        assert shop.services[service, "0"].stop() == 0
        shop.start(service).until_logged("caught up")
    shop.services["checkout", "0"].stop()
    shop.start("checkout")
    wait_until(lambda: shop.services["checkout", "0"].has_logged("committed"), "new checkouts")
    shop.until_completed(3)
    shop.must_be_clean()
