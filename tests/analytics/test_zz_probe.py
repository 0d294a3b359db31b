import time
from tests.faults.conftest import shop
from tests.shop import wait_until
def test_probe(shop, mariadb):
    db = shop.databases.fulfillment
    for s in ("checkout","order","fulfillment"): shop.start(s)
    shop.until_completed(5)
    mariadb.execute(f"USE {db}; CREATE TRIGGER full BEFORE INSERT ON fulfillment FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'full';")
    f0 = shop.services["fulfillment","0"]
    f0.until_logged("waiting for the database")
    f1 = shop.start("fulfillment","1")
    f1.until_logged("reading the own topic")
    mariadb.execute(f"USE {db}; DROP TRIGGER full;")
    t=time.time()
    def rows(): return dict(l.split("\t") for l in mariadb.execute(f"SELECT status, COUNT(*) FROM {db}.fulfillment GROUP BY status").splitlines()[1:])
    while time.time()-t < 50:
        time.sleep(5)
        s = shop.statuses("fulfillment")
        print(round(time.time()-t), "topic", dict(s), "rows", rows(), "orders", dict(shop.statuses("order")))
    for f in (f0,f1): print(f.log.name, [ (l["event"], l.get("partitions"), l.get("records_missing")) for l in f.lines() if l["event"] in ("caught up","reading the own topic","no progress in reading the own topic: is a transaction of somebody else open in it?")])
