"""The real Kafka and MariaDB, as local.kafka and local.mariadb run them."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local.cluster import Cluster
from local.errors import Refusal
from local.kafka import Kafka
from local.mariadb import MariaDB
from local.server import HOST, Server, free_port
from tools.kit.prepared import binaries

TOPIC = "kept"

NewKafka = Callable[..., Kafka]
NewMariaDB = Callable[..., MariaDB]


@pytest.fixture
def a_kafka(new_kafka: NewKafka, tmp_path: Path) -> Iterator[Kafka]:
    kafka = new_kafka(tmp_path / "kafka", heap_mb=256)
    yield kafka
    kafka.kill()


@pytest.fixture
def a_mariadb(new_mariadb: NewMariaDB, tmp_path: Path) -> Iterator[MariaDB]:
    mariadb = new_mariadb(tmp_path / "mariadb", buffer_pool_mb=64)
    yield mariadb
    mariadb.kill()


def restart(server: Server) -> None:
    server.start()
    server.wait_ready()


def test_kafka_keeps_its_topics_and_messages_over_a_kill_and_a_stop(a_kafka: Kafka) -> None:
    restart(a_kafka)
    admin = AdminClient({"bootstrap.servers": a_kafka.bootstrap})
    admin.create_topics([NewTopic(TOPIC, 3)])[TOPIC].result(30)
    produce(a_kafka, b"before")
    a_kafka.kill()
    restart(a_kafka)
    produce(a_kafka, b"between")
    a_kafka.stop()
    restart(a_kafka)
    assert messages(a_kafka, 2) == [b"before", b"between"]


def test_kafka_starts_from_the_classes_that_were_kept(new_kafka: NewKafka, tmp_path: Path) -> None:
    # With this Java refuses to start where they are of no use.
    kafka = new_kafka(tmp_path / "kafka", heap_mb=256, java=["-Xshare:on"])
    restart(kafka)
    kafka.kill()


def test_kafka_starts_all_the_same_where_they_are_of_no_use(
    new_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    classes = tmp_path / "another.jsa"
    classes.write_bytes(b"of another Java")
    cluster = new_cluster(tmp_path, brokers=1)
    kafka = Kafka(replace(binaries(), broker_classes=classes), cluster, cluster.nodes[0], heap_mb=256)
    restart(kafka)
    kafka.kill()


def test_kafka_stamps_messages_itself_and_makes_no_topic_unasked(a_kafka: Kafka) -> None:
    restart(a_kafka)
    admin = AdminClient({"bootstrap.servers": a_kafka.bootstrap})
    metadata = admin.list_topics("unasked", timeout=10)
    assert metadata.topics["unasked"].error is not None
    admin.create_topics([NewTopic(TOPIC, 1)])[TOPIC].result(30)
    future = 4_000_000_000_000  # milliseconds: the year 2096
    producer = Producer({"bootstrap.servers": a_kafka.bootstrap})
    producer.produce(TOPIC, b"from the future", timestamp=future)
    producer.flush(30)
    consumer = reader(a_kafka)
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.timestamp()[1] < future


def test_mariadb_keeps_what_was_committed_over_a_kill_and_a_stop(a_mariadb: MariaDB) -> None:
    restart(a_mariadb)
    a_mariadb.execute("CREATE DATABASE d; CREATE TABLE d.t (n INT); INSERT INTO d.t VALUES (1)")
    a_mariadb.kill()
    restart(a_mariadb)
    a_mariadb.execute("INSERT INTO d.t VALUES (2)")
    a_mariadb.stop()
    restart(a_mariadb)
    assert a_mariadb.execute("SELECT n FROM d.t ORDER BY n").split() == ["n", "1", "2"]


def test_mariadb_is_set_up_as_the_services_rely_on(a_mariadb: MariaDB) -> None:
    restart(a_mariadb)
    names = "time_zone, @@local_infile, @@innodb_flush_log_at_trx_commit, @@idle_write_transaction_timeout"
    told = a_mariadb.execute(f"SELECT @@{names}, @@character_set_server, @@have_ssl").splitlines()[1]
    assert told.split() == ["+00:00", "1", "1", "15", "utf8mb4", "YES"]


def test_mariadb_leaves_the_temporary_tables_of_another_one_alone_when_it_is_made_and_when_it_starts(
    a_mariadb: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_ones = tmp_path / "#sql-temptable-2a-1-0.MAI"
    another_ones.touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    restart(a_mariadb)
    assert another_ones.exists()


def test_mariadb_runs_where_the_path_is_too_long_for_a_socket(
    start_mariadb: Callable[[Path], MariaDB], tmp_path: Path
) -> None:
    mariadb = start_mariadb(tmp_path / ("deep" * 30))
    assert len(str(mariadb.socket)) > 107
    # start_mariadb has applied sql/ already: it may be applied again.
    mariadb.apply(Path(__file__).parents[2] / "sql")
    mariadb.stop()


def test_an_error_in_sql_names_the_file_and_the_reason(a_mariadb: MariaDB, tmp_path: Path) -> None:
    restart(a_mariadb)
    (tmp_path / "010-good.sql").write_text("CREATE DATABASE d;")
    (tmp_path / "020-bad.sql").write_text("CREATE NONSENSE;")
    with pytest.raises(Refusal, match=r"020-bad\.sql.*syntax"):
        a_mariadb.apply(tmp_path)


def test_a_first_start_that_was_interrupted_is_made_good(a_mariadb: MariaDB) -> None:
    a_mariadb.data.mkdir(parents=True)
    (a_mariadb.data / "ibdata1").write_text("half of something")
    restart(a_mariadb)
    assert a_mariadb.execute("SELECT 1")


def test_a_stopped_server_ends_when_it_is_told_to(a_mariadb: MariaDB) -> None:
    restart(a_mariadb)
    pid = a_mariadb.pid
    os.kill(pid, signal.SIGSTOP)
    a_mariadb.stop()
    with pytest.raises(LookupError):
        _ = a_mariadb.pid
    assert not Path(f"/proc/{pid}").exists()


def test_a_taken_port_is_refused_by_the_setting_that_moves_it(a_mariadb: MariaDB) -> None:
    with (
        socket.create_server((HOST, a_mariadb.port), family=socket.AF_INET6),
        pytest.raises(Refusal, match=rf"port {a_mariadb.port} .*MARIADB_PORT=") as refused,
    ):
        a_mariadb.start()
    assert "\n" not in str(refused.value)


def test_a_server_that_ends_at_its_start_is_told_with_its_log(new_mariadb: NewMariaDB, tmp_path: Path) -> None:
    mariadb = new_mariadb(tmp_path, options={"no-such-option": 1})
    mariadb.start()
    with pytest.raises(Refusal, match=r"mariadb ended at its start .*mariadb\.log"):
        mariadb.wait_ready()
    assert "no-such-option" in mariadb.log.read_text()


def test_free_ports_are_free() -> None:
    port = free_port()
    with socket.create_server((HOST, port), family=socket.AF_INET6):
        assert free_port() != port


def produce(kafka: Kafka, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(TOPIC, value, partition=0)
    assert producer.flush(30) == 0


def reader(kafka: Kafka) -> Consumer:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    return consumer


def messages(kafka: Kafka, count: int) -> list[bytes | None]:
    consumer = reader(kafka)
    found = consumer.consume(count, 30)
    consumer.close()
    return [message.value() for message in found]
