#!/usr/bin/env bash
# Creates the shop's topics, users and access rights where they are missing. Run it as often as you like.
#
# It waits for the broker and logs in as admin. It works with Kafka's own commands on the PATH or in /opt/kafka/bin (the
# apache/kafka image), and else with those of local/bin. A user that exists keeps the password, unless one is set. Settings,
# from the environment; every password here is a workshop's, for a machine that nobody else can reach:
#   BOOTSTRAP             address where one logs in            [::1]:9094
#   KAFKA_ADMIN_PASSWORD  the broker's, too                    adminpw
#   CHECKOUT_PASSWORD, ORDER_PASSWORD, FULFILLMENT_PASSWORD,
#   ANALYTICS_PASSWORD, AUDITOR_PASSWORD  of that user         checkoutpw, orderpw, ...
#   OPEN_TOPICS           topics that anybody may write, and our own service no more: checkout,order (none)
#   PARTITIONS            of each topic, all the same          6
#   REPLICATION           copies of each partition             1
#   WAIT_SECONDS          for the broker to come up            120
set -euo pipefail

BOOTSTRAP=${BOOTSTRAP:-[::1]:9094}
KAFKA_ADMIN_PASSWORD=${KAFKA_ADMIN_PASSWORD:-adminpw}
OPEN_TOPICS=${OPEN_TOPICS:-}
PARTITIONS=${PARTITIONS:-6}
REPLICATION=${REPLICATION:-1}
WAIT_SECONDS=${WAIT_SECONDS:-120}
TOPICS=(checkout order fulfillment)
USERS=(checkout order fulfillment analytics auditor)
RETENTION_MS=$((7 * 24 * 60 * 60 * 1000))
# Each is a Java machine of 100 MB.
AT_ONCE=4

# Who may do what: READ and WRITE include DESCRIBE, and all that is not here is refused. A group or a transactional id
# that is somebody's is nobody else's, because to join the one or to use the other would stop its service.
rights() {
    local topic
    echo "ALLOW checkout    READ     LITERAL  topic:checkout group:checkout"
    echo "ALLOW order       READ     LITERAL  topic:checkout topic:order topic:fulfillment group:order"
    echo "ALLOW fulfillment READ     LITERAL  topic:order topic:fulfillment group:fulfillment"
    echo "ALLOW analytics   READ     LITERAL  topic:checkout topic:order topic:fulfillment group:analytics"
    echo "ALLOW auditor     READ     LITERAL  topic:checkout topic:order topic:fulfillment"
    echo "ALLOW auditor     DESCRIBE LITERAL  group:*"
    for topic in "${TOPICS[@]}"; do
        is_open "$topic" || echo "ALLOW $topic WRITE LITERAL topic:$topic"
        echo "ALLOW $topic WRITE PREFIXED transactional-id:$topic-"
    done
    # Whoever has not logged in: kcat, a workshop's first consumer.
    echo "ALLOW ANONYMOUS   READ     LITERAL  topic:* group:*"
    echo "ALLOW ANONYMOUS   DESCRIBE LITERAL  cluster:kafka-cluster"
    echo "DENY  ANONYMOUS   READ     LITERAL  group:analytics ${TOPICS[*]/#/group:}"
    if [[ $OPEN_TOPICS ]]; then
        echo "ALLOW ANONYMOUS   WRITE    LITERAL  topic:${OPEN_TOPICS//,/ topic:} transactional-id:*"
        echo "DENY  ANONYMOUS   WRITE    PREFIXED $(printf 'transactional-id:%s- ' "${TOPICS[@]}")"
    fi
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/opt/kafka/bin:$here/local/bin

# The start of a Java machine is most of what this script takes, and half of that is loading classes: the first command
# keeps them for the others (JEP 350).
export KAFKA_HEAP_OPTS=-Xmx256m
java_options() {
    export KAFKA_JVM_PERFORMANCE_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable -Xlog:all=off $1"
}

say() { echo "init-kafka: $*"; }
fail() { say "$*" >&2; exit 2; }
join() { local IFS=,; echo "$*"; }
is_user() { grep -qF "'$1'" "$work/users"; }
is_open() { [[ ,$OPEN_TOPICS, == *,"$1",* ]]; }
# The sentence in what a Kafka command says when it fails, without its stack trace.
reason() { grep -m 1 -E 'Error|Exception|refused' <<<"$1" || head -n 1 <<<"$1"; }

accepts() {
    local address=${BOOTSTRAP%%,*}
    local host=${address%:*} port=${address##*:}
    host=${host#[} host=${host%]}
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

# Calls a Kafka command as admin, and says the rest, which begins with what it is for, where that fails.
as_admin() {
    local purpose=$1 command=$2 answer
    shift 2
    answer=$("$command.sh" --bootstrap-server "$BOOTSTRAP" --command-config "$work/login" "$@" 2>&1) ||
        fail "$purpose: $(reason "$answer")"
    echo "$answer"
}

create_topic() {
    local refused
    until refused=$(as_admin "topic $1 could not be created" kafka-topics --create --if-not-exists --topic "$1" \
        --partitions "$PARTITIONS" --replication-factor "$REPLICATION" \
        --config "retention.ms=$RETENTION_MS" --config message.timestamp.type=LogAppendTime 2>&1 >/dev/null); do
        # The first broker of a cluster answers before the last one is there.
        [[ $refused == *"replication factor"* ]] && ((SECONDS < WAIT_SECONDS)) || { echo "$refused" >&2; exit 2; }
        sleep 1
    done
    say "topic $1 is new: $PARTITIONS partitions, kept for 7 days"
}

set_password() {
    local setting=${1^^}_PASSWORD
    # In a file, because everybody sees the arguments of a command.
    echo "SCRAM-SHA-512=password=${!setting:-$1pw}" >"$work/password_of_$1"
    as_admin "user $1 could not be created" kafka-configs --alter --entity-type users --entity-name "$1" \
        --add-config-file "$work/password_of_$1" >/dev/null
    is_user "$1" && say "user $1 has the password that $setting says" || say "user $1 is new"
}

# Gives or takes one line of the table: change_right --add ALLOW order WRITE LITERAL topic:order
change_right() {
    local change=$1 kind=$2 user=$3 operation=$4 pattern=$5 resource
    local arguments=("$change" --operation "$operation" --resource-pattern-type "${pattern,,}")
    [[ $kind == ALLOW ]] && arguments+=(--allow-principal "User:$user") || arguments+=(--deny-principal "User:$user")
    [[ $change == --remove ]] && arguments+=(--force)
    for resource in "${@:6}"; do
        arguments+=("--${resource%%:*}")
        [[ $resource == cluster:* ]] || arguments+=("${resource#*:}")
    done
    as_admin "this right could not be changed: ${*:2}" kafka-acls "${arguments[@]}" >/dev/null
}

# What the broker has, as lines of the table with one resource each.
granted() {
    local line resource=''
    as_admin "the rights could not be read" kafka-acls --list | while read -r line; do
        if [[ $line =~ resourceType=([A-Z_]+),\ name=([^,]+),\ patternType=([A-Z]+) ]]; then
            resource="${BASH_REMATCH[3]} $(tr 'A-Z_' 'a-z-' <<<"${BASH_REMATCH[1]}"):${BASH_REMATCH[2]}"
        elif [[ $line =~ principal=User:([^,]+),\ host=\*,\ operation=([A-Z_]+),\ permissionType=([A-Z]+) ]]; then
            echo "${BASH_REMATCH[3]} ${BASH_REMATCH[1]} ${BASH_REMATCH[2]} $resource"
        fi
    done
}
one_resource_each() {
    local kind user operation pattern resources resource
    while read -r kind user operation pattern resources; do
        for resource in $resources; do echo "$kind $user $operation $pattern $resource"; done
    done
}
# The lines of the input that are not, or not wholly, in the file.
not_in() {
    local line
    while read -r line; do
        ! one_resource_each <<<"$line" | grep -qvxF -f "$1" || echo "$line"
    done
}

# Runs the command once for each line of the input, with its words, a few at once.
for_each() {
    local words started=()
    while read -ra words; do
        "$@" "${words[@]}" </dev/null &
        started+=($!)
        ((${#started[@]} < AT_ONCE)) || { wait_for "${started[@]}"; started=(); }
    done
    wait_for ${started[@]+"${started[@]}"}
}
wait_for() {
    local pid
    for pid in "$@"; do wait "$pid" || exit 2; done
}

set -f  # * is a name here
command -v kafka-topics.sh >/dev/null || fail "there is no kafka-topics.sh: put Kafka's bin folder on the PATH."
[[ $PARTITIONS =~ ^[1-9][0-9]*$ ]] || fail "PARTITIONS is '$PARTITIONS' and must be a whole number from 1 on."
[[ $REPLICATION =~ ^[1-9][0-9]*$ ]] || fail "REPLICATION is '$REPLICATION' and must be a whole number from 1 on."
[[ $KAFKA_ADMIN_PASSWORD != *[\"\\]* ]] || fail 'KAFKA_ADMIN_PASSWORD must be without " and \.'
for topic in ${OPEN_TOPICS//,/ }; do
    [[ " ${TOPICS[*]} " == *" $topic "* ]] || fail "OPEN_TOPICS names '$topic': give some of $(join "${TOPICS[@]}")."
done

work=$(mktemp -d 2>/dev/null) || fail "no temporary folder can be made in ${TMPDIR:-/tmp}: make room there, or set TMPDIR."
trap 'rm -rf "$work"' EXIT
cat >"$work/login" <<EOF
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
    username="admin" password="$KAFKA_ADMIN_PASSWORD";
EOF

for ((tries = 0; ; tries++)); do
    accepts && break
    ((SECONDS < WAIT_SECONDS)) || fail "no broker at $BOOTSTRAP after $WAIT_SECONDS s: start it, or set BOOTSTRAP."
    ((tries % 50)) || say "waiting for the broker at $BOOTSTRAP"
    sleep 0.2
done

java_options "-XX:ArchiveClassesAtExit=$work/classes"
as_admin "the broker at $BOOTSTRAP does not answer" kafka-topics --list >"$work/topics"
java_options "-XX:SharedArchiveFile=$work/classes"
as_admin "the users could not be read" kafka-configs --describe --entity-type users >"$work/users" & users=$!
granted >"$work/rights" & rights=$!
wait_for "$users" "$rights"

for topic in "${TOPICS[@]}"; do
    grep -qxF "$topic" "$work/topics" && say "topic $topic is there" || echo "$topic" >>"$work/new_topics"
done
for user in "${USERS[@]}"; do
    setting=${user^^}_PASSWORD
    is_user "$user" && [[ -z ${!setting:-} ]] || echo "$user" >>"$work/passwords"
done
rights | not_in "$work/rights" >"$work/new_rights"
# What our users have beyond the table: a topic that is open no more, say.
rights | one_resource_each >"$work/wanted"
grep -E "^[A-Z]+ ($(IFS='|'; echo "${USERS[*]}")|ANONYMOUS) " "$work/rights" | not_in "$work/wanted" \
    >"$work/old_rights" || true

touch "$work/new_topics" "$work/passwords"
for_each create_topic <"$work/new_topics"
for_each set_password <"$work/passwords"
for_each change_right --remove <"$work/old_rights"
for_each change_right --add <"$work/new_rights"
say "$(wc -l <"$work/new_rights") rights are new, $(wc -l <"$work/old_rights") are taken back"
[[ -z $OPEN_TOPICS ]] || say "anybody may write $OPEN_TOPICS, and our own service may not"
