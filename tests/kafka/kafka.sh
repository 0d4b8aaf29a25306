#!/usr/bin/env bash
# A real Apache Kafka broker for the tests: one node (KRaft) on 127.0.0.1, without docker.
#
#   kafka.sh start DIR [PORT [PROPERTIES [OPTION..]]]
#                              start a broker that keeps its log in DIR, wait until it answers, print its address
#   kafka.sh stop DIR          stop it cleanly and wait until it is gone
#   kafka.sh kill DIR          kill -9 it; a later start recovers the log
#
# PORT defaults to 19092; the next one is used too, by the controller. PROPERTIES is a file of server properties that
# override ours (more listeners, certificates); OPTIONs are for formatting a new log, such as
#   --add-scram 'SCRAM-SHA-512=[name=alice,password=secret]'
# Needs Java 17 and, for the first start, Maven: the jars come from Maven Central and stay in $KAFKA_JARS (default:
# ~/.cache/stockstream/kafka-4.1.0).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/stockstream/kafka-4.1.0}
cluster_id=c3RvY2tzdHJlYW0tdGVzdA # any 16 bytes in base64

usage() {
    sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

fetch_jars() {
    [[ -d $jars ]] && return
    local staging
    mkdir -p "$(dirname "$jars")"
    staging=$(mktemp -d "$jars.XXXXXX")
    mvn --quiet --batch-mode -f "$here/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies -DoutputDirectory="$staging" >&2
    # Somebody else may have been faster: theirs is as good.
    mv -T "$staging" "$jars" 2>/dev/null || rm -rf "$staging"
}

write_properties() {
    cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/log
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
PROPERTIES
    # The last of two lines for a key counts.
    [[ -z $more_properties ]] || cat "$more_properties" >>"$dir/server.properties"
}

is_running() {
    [[ -f $dir/pid ]] && kill -0 "$(<"$dir/pid")" 2>/dev/null
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

start() {
    if is_running; then
        echo "a broker runs in $dir already, pid $(<"$dir/pid")" >&2
        exit 1
    fi
    fetch_jars
    write_properties
    if [[ ! -f $dir/log/meta.properties ]]; then
        java -cp "$jars/*" kafka.tools.StorageTool format -t "$cluster_id" -c "$dir/server.properties" \
            "${format_options[@]}" >"$dir/format.log" 2>&1 ||
            { cat "$dir/format.log" >&2; exit 1; }
    fi
    setsid java -Xms256m -Xmx1g -cp "$jars/*" kafka.Kafka "$dir/server.properties" >"$dir/broker.log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    for _ in $(seq 300); do
        if answers; then
            echo "127.0.0.1:$port"
            return
        fi
        is_running || break
        sleep 0.2
    done
    echo "the broker did not start:" >&2
    tail -n 20 "$dir/broker.log" >&2
    exit 1
}

# end SIGNAL
end() {
    is_running || return 0
    local pid
    pid=$(<"$dir/pid")
    kill "-$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm -f "$dir/pid"
}

[[ $# -ge 2 ]] || usage
mkdir -p "$2"
dir=$(cd "$2" && pwd)
port=${3:-19092}
more_properties=${4:-}
format_options=("${@:5}")
case $1 in
start) start ;;
stop) end TERM ;;
kill) end KILL ;;
*) usage ;;
esac
