#!/usr/bin/env bash
# Creates the shop's three topics where they are missing, and leaves those that exist alone. Run it as often as you like.
#
# It waits for the broker. It works with Kafka's own commands on the PATH or in /opt/kafka/bin (the apache/kafka
# image), and else with those of local/bin. Settings, from the environment:
#   BOOTSTRAP     address of the broker           [::1]:9092
#   PARTITIONS    of each topic, all the same     6
#   REPLICATION   copies of each partition        1
#   WAIT_SECONDS  for the broker to come up       120
set -euo pipefail

BOOTSTRAP=${BOOTSTRAP:-[::1]:9092}
PARTITIONS=${PARTITIONS:-6}
REPLICATION=${REPLICATION:-1}
WAIT_SECONDS=${WAIT_SECONDS:-120}
TOPICS=(checkout order fulfillment)
RETENTION_MS=$((7 * 24 * 60 * 60 * 1000))

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/opt/kafka/bin:$here/local/bin

# The start of a Java machine is most of what this script takes.
export KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xmx256m}
export KAFKA_JVM_PERFORMANCE_OPTS=${KAFKA_JVM_PERFORMANCE_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}

say() { echo "init-kafka: $*"; }
fail() { say "$*" >&2; exit 1; }
# The sentence in what a Kafka command says when it fails, without its stack trace.
reason() { grep -m 1 -E 'Error|Exception|refused' <<<"$1" || head -n 1 <<<"$1"; }

accepts() {
    local address=${BOOTSTRAP%%,*}
    local host=${address%:*} port=${address##*:}
    host=${host#[} host=${host%]}
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

create() {
    local answer
    answer=$(kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --create --if-not-exists --topic "$1" \
        --partitions "$PARTITIONS" --replication-factor "$REPLICATION" \
        --config "retention.ms=$RETENTION_MS" --config message.timestamp.type=LogAppendTime 2>&1) ||
        fail "topic $1 could not be created: $(reason "$answer")"
    say "topic $1 is new: $PARTITIONS partitions, kept for 7 days"
}

command -v kafka-topics.sh >/dev/null || fail "there is no kafka-topics.sh: put Kafka's bin folder on the PATH."
[[ $PARTITIONS =~ ^[1-9][0-9]*$ ]] || fail "PARTITIONS is '$PARTITIONS' and must be a whole number from 1 on."
[[ $REPLICATION =~ ^[1-9][0-9]*$ ]] || fail "REPLICATION is '$REPLICATION' and must be a whole number from 1 on."

for ((tries = 0; ; tries++)); do
    accepts && break
    ((SECONDS < WAIT_SECONDS)) || fail "no broker at $BOOTSTRAP after $WAIT_SECONDS s: start it, or set BOOTSTRAP."
    ((tries % 50)) || say "waiting for the broker at $BOOTSTRAP"
    sleep 0.2
done

existing=$(kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --list 2>&1) ||
    fail "the broker at $BOOTSTRAP does not answer: $(reason "$existing")"

creating=()
for topic in "${TOPICS[@]}"; do
    if grep -qx "$topic" <<<"$existing"; then
        say "topic $topic is there"
    else
        create "$topic" &
        creating+=($!)
    fi
done
for pid in ${creating[@]+"${creating[@]}"}; do
    wait "$pid" || exit 1
done
