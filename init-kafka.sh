#!/usr/bin/env -S bash -p
# Creates the shop's topics, users and access rights where they are missing, and says where the topics that are there are
# not as the shop needs them. Run it as often as you like.
#
# It waits for the broker and logs in as admin. A user that exists keeps the password, unless one is set. Settings, from
# the environment; every password here is a workshop's, for a machine that nobody else can reach:
#   BOOTSTRAP             address where one logs in            [::1]:9094
#   KAFKA_ADMIN_PASSWORD  the broker's, too                    adminpw
#   CHECKOUT_PASSWORD, ORDER_PASSWORD, FULFILLMENT_PASSWORD,
#   ANALYTICS_PASSWORD, AUDITOR_PASSWORD  of that user         checkoutpw, orderpw, ...
#   OPEN_TOPICS           topics that anybody may write, and our own service no more: checkout,order (none)
#   PARTITIONS            of each topic, all the same          6
#   REPLICATION           copies of each partition             1
#   WAIT_SECONDS          for the broker to come up            120
#   KAFKA_BIN             folder of Kafka's own commands       that of the PATH, /opt/kafka/bin (the image), or local/bin
set -euo pipefail
# What the shell exports for others: with -p bash itself leaves BASH_ENV, SHELLOPTS and functions alone.
unset CDPATH BASH_ENV POSIXLY_CORRECT GREP_OPTIONS JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS
# Where i has another upper case, FULFILLMENT_PASSWORD has another name.
export LC_ALL=C.UTF-8

BOOTSTRAP=${BOOTSTRAP:-[::1]:9094}
KAFKA_ADMIN_PASSWORD=${KAFKA_ADMIN_PASSWORD:-adminpw}
OPEN_TOPICS=${OPEN_TOPICS:-}
ASKED_PARTITIONS=${PARTITIONS:-}
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
    echo "ALLOW auditor     DESCRIBE_CONFIGS LITERAL topic:checkout topic:order topic:fulfillment"
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

# What the shop needs of its topics and brokers: whose, setting, value (or least..most, then the least is advised), whether
# it is mended here or said, and why. Mended is what removes no message, and is no matter of disk space or of machines.
needs() {
    echo "topic cleanup.policy delete mend compaction removes events that a restart, a reader and the auditor need"
    echo "topic message.timestamp.type LogAppendTime mend delays and KPI windows count from the broker's clock"
    echo "topic max.message.bytes 1048588.. mend a service sends batches of up to 1 MB"
    echo "topic unclean.leader.election.enable false mend a broker that lags behind would drop acknowledged events"
    echo "topic retention.ms $RETENTION_MS.. say a service that is away, and the auditor, need events of 7 days"
    echo "topic retention.bytes -1 say it removes events before their 7 days are over"
    echo "topic min.insync.replicas 1..COPIES say nothing can be published with fewer copies than that"
    echo "broker offsets.retention.minutes $((RETENTION_MS / 60000)).. say a service that is away loses its place before"
    echo "broker transaction.max.timeout.ms 10000.. say a transaction of a service may take 10 s"
}

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
kafka_bin() {
    local on_path bin
    on_path=$(type -P kafka-topics.sh) || true
    for bin in "${KAFKA_BIN:-}" "${on_path%/*}" /opt/kafka/bin "$here/local/bin"; do
        [[ ! $bin || ! -f $bin/kafka-topics.sh ]] || { echo "$bin"; return; }
    done
    fail "there is no kafka-topics.sh: set KAFKA_BIN to Kafka's bin folder."
}
source "$here/local/passwords.sh"

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

require_typeable() {
    local reason
    reason=$(why_unfit "${!1:-}")
    [[ -z $reason ]] || fail "$1 $reason"
}

# Calls a Kafka command as admin, and says the rest, which begins with what it is for, where that fails.
as_admin() {
    local purpose=$1 command=$2 answer
    shift 2
    # Through bash, because a checkout may have lost the right to run its files.
    answer=$(bash -p "$bin/$command.sh" --bootstrap-server "$BOOTSTRAP" --command-config "$work/login" "$@" 2>&1) ||
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

# Whether a value is the one that is needed, or within least..most (nothing: no limit); -1 is without limit, too.
meets() {
    local value=$1 least=${2%..*} most=${2#*..}
    [[ $2 == *..* ]] || { [[ $value == "$2" ]]; return; }
    ((value == -1 || (value >= least && value <= ${most:-value})))
}

# Sorts what kafka-configs.sh describes, name=value and more, into a file for each topic or broker: topic_order, broker_1.
sort_configuration() {
    local words file=/dev/null
    while read -ra words; do
        [[ ${words[*]} != 'All configs for '* ]] || file=$work/${words[3]}_${words[4]}
        [[ ${words[0]:-} != *=* ]] || echo "${words[0]}" >>"$file"
    done
}

# Compares a topic or a broker with the needs: says what differs, and mends what is to be mended.
#   compare topic order COPIES
compare() {
    local of=$1 name=$2 copies=${3:-1} whose setting need done reason value wanted mended=()
    while read -r whose setting need done reason; do
        need=${need/COPIES/$copies}
        value=$(sed -n "s/^$setting=//p" "$work/${of}_$name")
        if [[ $whose != "$of" || -z $value ]] || meets "$value" "$need"; then continue; fi
        # Where there was no deleting before, too short a retention would begin to.
        [[ $setting != cleanup.policy || $value == *delete* ]] || retention_suffices "$name" || done=say
        wanted=${need%..*}
        if [[ $done == mend ]]; then
            mended+=("$setting=$wanted")
            say "$of $name: $setting was $value and is $wanted now: $reason"
        elif [[ $of == topic ]]; then
            say "$of $name: $setting is $value and should be $wanted: $reason; as admin, kafka-configs.sh --alter \
--entity-type topics --entity-name $name --add-config $setting=$wanted"
        else
            say "$of $name: $setting is $value and should be $wanted: $reason; its server.properties says it"
        fi
    done < <(needs)
    [[ -z ${mended[*]} ]] || as_admin "topic $name could not be changed" kafka-configs --alter --entity-type topics \
        --entity-name "$name" --add-config "$(join "${mended[@]}")" >/dev/null
}
retention_suffices() {
    meets "$(sed -n 's/^retention.ms=//p' "$work/topic_$1")" "$RETENTION_MS.." && grep -qx 'retention.bytes=-1' "$work/topic_$1"
}

# Says where the numbers of partitions and copies are not those that are needed or asked for.
compare_counts() {
    local topic=$1 partitions=$2 copies=$3
    ((copies >= REPLICATION)) || say "topic $topic has $copies of the $REPLICATION copies that REPLICATION asks for: the loss \
of a broker may be the loss of events; the admin adds copies (kafka-reassign-partitions.sh)"
    [[ -z $ASKED_PARTITIONS || $ASKED_PARTITIONS == "$partitions" ]] || say "topic $topic has $partitions partitions and not \
the $ASKED_PARTITIONS that PARTITIONS asks for: the admin adds some to all three (kafka-topics.sh --alter)"
}

set_password() {
    local setting=${1^^}_PASSWORD
    # In a file, because everybody sees the arguments of a command.
    echo "SCRAM-SHA-512=$(as_property "password=${!setting:-$1pw}")" >"$work/password_of_$1"
    as_admin "user $1 could not be created" kafka-configs --alter --entity-type users --entity-name "$1" \
        --add-config-file "$work/password_of_$1" >/dev/null
    is_user "$1" && say "user $1 has the password that $setting says" || say "user $1 is new"
}

# Gives or takes one line of the table: change_right --add ALLOW order WRITE LITERAL topic:order
change_right() {
    local change=$1 kind=$2 user=$3 operation=${4/DESCRIBE_CONFIGS/DescribeConfigs} pattern=$5 resource
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
bin=$(kafka_bin)
[[ $PARTITIONS =~ ^[1-9][0-9]*$ ]] || fail "PARTITIONS is '$PARTITIONS' and must be a whole number from 1 on."
[[ $REPLICATION =~ ^[1-9][0-9]*$ ]] || fail "REPLICATION is '$REPLICATION' and must be a whole number from 1 on."
require_typeable KAFKA_ADMIN_PASSWORD
for user in "${USERS[@]}"; do
    setting=${user^^}_PASSWORD
    require_typeable "$setting"
    # librdkafka cuts off the first, kafka-configs.sh the last one.
    [[ ${!setting:-} != ' '* && ${!setting:-} != *' ' ]] || fail "$setting begins or ends with a space: leave it out."
done
for topic in ${OPEN_TOPICS//,/ }; do
    [[ " ${TOPICS[*]} " == *" $topic "* ]] || fail "OPEN_TOPICS names '$topic': give some of $(join "${TOPICS[@]}")."
done

if [[ $BOOTSTRAP == \[* && -d /proc/net && ! $(cat /proc/net/if_inet6 2>/dev/null) ]]; then
    fail "BOOTSTRAP is $BOOTSTRAP and IPv6 is off here: switch it on (for containers see docs/docker.md)."
fi
work=$(mktemp -d 2>/dev/null) || fail "no temporary folder can be made in ${TMPDIR:-/tmp}: make room there, or set TMPDIR."
trap 'rm -rf "$work"' EXIT
cat >"$work/login" <<EOF
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=$(plain_login username admin password "$KAFKA_ADMIN_PASSWORD")
EOF

for ((tries = 0; ; tries++)); do
    accepts && break
    ((SECONDS < WAIT_SECONDS)) || fail "no broker at $BOOTSTRAP after $WAIT_SECONDS s: start it, or set BOOTSTRAP."
    ((tries % 50)) || say "waiting for the broker at $BOOTSTRAP"
    sleep 0.2
done

java_options "-XX:ArchiveClassesAtExit=$work/classes"
as_admin "the broker at $BOOTSTRAP does not answer" kafka-topics --describe >"$work/described"
# Of each topic: name, partitions, copies.
sed -nE 's/^Topic: ([^[:space:]]+)[[:space:]].*PartitionCount: ([0-9]+)[[:space:]]+ReplicationFactor: ([0-9]+).*/\1 \2 \3/p' \
    "$work/described" >"$work/topics"
java_options "-XX:SharedArchiveFile=$work/classes"
as_admin "the users could not be read" kafka-configs --describe --entity-type users >"$work/users" & users=$!
granted >"$work/rights" & rights=$!
wait_for "$users" "$rights"

for topic in "${TOPICS[@]}"; do
    grep -qE "^$topic " "$work/topics" && say "topic $topic is there" || echo "$topic" >>"$work/new_topics"
done
grep -E "^($(IFS='|'; echo "${TOPICS[*]}")) " "$work/topics" >"$work/old_topics" || true
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
if [[ -s $work/old_topics ]]; then
    for kind in topics brokers; do
        as_admin "the $kind' settings could not be read" kafka-configs --describe --all --entity-type "$kind" \
            >"$work/settings_of_$kind" & reads+=($!)
    done
    wait_for "${reads[@]}"
    cat "$work"/settings_of_{topics,brokers} | sort_configuration
    while read -r topic partitions copies; do
        compare topic "$topic" "$copies"
        compare_counts "$topic" "$partitions" "$copies"
    done <"$work/old_topics"
    for broker in $(sed -nE 's/^All configs for broker ([0-9]+) are:.*/\1/p' "$work/settings_of_brokers"); do
        compare broker "$broker"
    done
fi
for_each create_topic <"$work/new_topics"
counts=$({ cat "$work/old_topics"; sed "s/$/ $PARTITIONS/" "$work/new_topics"; } | cut -d ' ' -f 1,2 | sort)
[[ $(cut -d ' ' -f 2 <<<"$counts" | uniq | wc -l) == 1 ]] || say "the topics have different numbers of partitions \
(${counts//$'\n'/, }), with which no service starts: the admin gives all the same (kafka-topics.sh --alter)"
for_each set_password <"$work/passwords"
for_each change_right --remove <"$work/old_rights"
for_each change_right --add <"$work/new_rights"
say "$(wc -l <"$work/new_rights") rights are new, $(wc -l <"$work/old_rights") are taken back"
[[ -z $OPEN_TOPICS ]] || say "anybody may write $OPEN_TOPICS, and our own service may not"
