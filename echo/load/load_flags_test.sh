#!/usr/bin/env bash
# Every flag of the load generator does what it says, and refuses what it cannot do.
#
# Usage: load_flags_test.sh FLAG_CASES LOAD SERVER

set -uo pipefail
source "$1"

readonly SERVER="$3" FOLDER="${TEST_TMPDIR:-$(mktemp -d)}"
start_server "${SERVER}" --listen=127.0.0.1:0
# Some messages, and what it does with a server on its port.
readonly LOAD=("$2" --target="${address}" --connections=1 --warmup=0 --messages=20 --progress=false)
# For so long instead.
readonly TIMED=("${LOAD[@]}" --messages=0 --duration=50ms)

# effect_in_json FLAG NAME VALUE COMMAND...: the figures have this member.
effect_in_json() {
  local flag="$1" member="\"$2\": $3"
  shift 3
  effect "${flag}" "${member}" "$@" --json=-
}

effect target "${address} over " "${LOAD[@]}" --target="${address}"
failure target "--target" "${LOAD[@]}" --target=nowhere
failure target "nothing listens at 127.0.0.1:1" "${LOAD[@]}" --target=127.0.0.1:1

effect_in_json connections connections 3 "${LOAD[@]}" --connections=3
failure connections "--connections=0" "${LOAD[@]}" --connections=0
failure connections "--connections=1000001" "${LOAD[@]}" --connections=1000001

failure connections "may open 100 descriptors here, which are too few for 100 connections" \
  limited -n 100 "${LOAD[@]}" --connections=100
# The connections of all threads are told.
failure connections,threads "too few descriptors for 99 connections" \
  limited -n 100 "${LOAD[@]}" --connections=99 --threads=3

effect_in_json message_size message_bytes 1000 "${LOAD[@]}" --message_size=1000
failure message_size "--message_size=0" "${LOAD[@]}" --message_size=0
failure message_size "--message_size=1073741825" "${LOAD[@]}" --message_size=1073741825

effect_in_json depth depth 4 "${LOAD[@]}" --depth=4
failure depth "--depth=0" "${LOAD[@]}" --depth=0
failure depth "--depth=65537" "${LOAD[@]}" --depth=65537

effect duration "latency_max_ns" "${TIMED[@]}" --duration=100ms --json=-
at_least "$(number seconds)" 0.1 || fail "--duration: ${output}"
failure duration "--duration=0" "${TIMED[@]}" --duration=0
failure duration "--duration=25h" "${TIMED[@]}" --duration=25h
failure duration "duration" "${TIMED[@]}" --duration=long

begin="${EPOCHREALTIME/[.,]/}"
effect warmup "latency_max_ns" "${TIMED[@]}" --warmup=100ms --json=-
at_least "$((${EPOCHREALTIME/[.,]/} - begin))" 150000 || fail "--warmup takes no time"
failure warmup "--warmup=-1s" "${TIMED[@]}" --warmup=-1s

effect_in_json messages messages 37 "${LOAD[@]}" --messages=37
failure messages "messages" "${LOAD[@]}" --messages=-1

effect_in_json rate rate_per_second 100.000 "${TIMED[@]}" --rate=100
at_least 200 "$(number messages_per_second)" || fail "--rate is not kept: ${output}"
# A rate that no machine keeps does not hold up the end.
effect_in_json rate interrupted false "${TIMED[@]}" --connections=2 --rate=1e9 --duration=200ms
at_least 5 "$(number seconds)" || fail "--rate=1e9 takes: ${output}"
failure rate "--rate" "${TIMED[@]}" --rate=-1
failure rate "--rate" "${TIMED[@]}" --rate=nan
failure rate "--rate" "${TIMED[@]}" --rate=1e10

effect_in_json verify verified true "${LOAD[@]}" --verify
effect_in_json verify verified false "${LOAD[@]}" --verify=false
failure verify "verify" "${LOAD[@]}" --verify=perhaps

effect_in_json threads threads 2 "${LOAD[@]}" --connections=4 --threads=2
# Each thread's ring takes descriptors, too.
effect threads "throughput" limited -Sn 64 "${LOAD[@]}" --messages=150 --connections=150 --threads=50
if can_limit_threads "$2"; then
  failure threads "only 2 of 4 threads can be started" with_two_threads "${LOAD[@]}" --connections=8 --threads=4
fi
failure threads "--threads=0" "${LOAD[@]}" --threads=0
failure threads "--threads=1025" "${LOAD[@]}" --threads=1025

effect_in_json backend backend '"epoll"' "${LOAD[@]}" --backend=epoll
failure backend "--backend" "${LOAD[@]}" --backend=none

# While it spins it cannot tell whether it is saturated, and says so.
effect spin "The generator spins" "${TIMED[@]}" --spin=1ms
failure spin "--spin=-1us" "${TIMED[@]}" --spin=-1us

# One message at a time is on its way, and it waits for more.
effect batch_delay "latency" "${TIMED[@]}" --connections=8 --rate=20 --duration=100ms --batch_delay=20ms --json=-
at_least "$(number latency_max_ns)" 19000000 || fail "--batch_delay delays nothing: ${output}"
failure batch_delay "--batch_delay=-1us" "${LOAD[@]}" --batch_delay=-1us

effect connect_timeout "throughput" "${LOAD[@]}" --connect_timeout=10s
failure connect_timeout "--connect_timeout=0" "${LOAD[@]}" --connect_timeout=0
effect reply_timeout "throughput" "${LOAD[@]}" --reply_timeout=10s
failure reply_timeout "--reply_timeout=0" "${LOAD[@]}" --reply_timeout=0

effect server_pid "cores busy" "${TIMED[@]}" --server_pid="${server_pid}"
effect server_pid "the CPU time of process 999999999 is not to be had" "${TIMED[@]}" --server_pid=999999999
failure server_pid "--server_pid=-1" "${TIMED[@]}" --server_pid=-1

effect json "throughput" "${LOAD[@]}" --json="${FOLDER}/json"
output="$(<"${FOLDER}/json")"
[[ $(number messages) == 20 ]] || fail "--json says: ${output}"
failure json "--json=${FOLDER}/none/json cannot be written" "${LOAD[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *throughput* ]] || fail "the file was refused after the run: ${output}"
failure json "--json=/dev/full cannot be written" "${LOAD[@]}" --json=/dev/full
output_failures "${LOAD[@]}" --json=-

on_terminal() { script -qec "$*" /dev/null </dev/null; }
effect progress " s: " on_terminal "${TIMED[@]}" --progress --duration=600ms
effect progress "throughput" on_terminal "${TIMED[@]}" --progress=false --duration=600ms
[[ ${output} != *" s: "* ]] || fail "--progress=false shows it: ${output}"
effect progress "throughput" "${TIMED[@]}" --progress --duration=600ms
[[ ${output} != *" s: "* ]] || fail "--progress without a terminal shows it: ${output}"
failure progress "progress" "${LOAD[@]}" --progress=perhaps

output_failures "${LOAD[@]}"
expect 1 "word" "${LOAD[@]}" word

# A server that is stopped: its system connects as many as its queue holds, and nothing answers.
kill -STOP "${server_pid}"
failure reply_timeout "nothing came back for 50ms" "${LOAD[@]}" --reply_timeout=50ms

# Whether the server has bytes that it has not read (/proc/net/tcp: local address, state, queues).
has_unread_bytes() {
  awk -v port="$(printf ':%04X$' "${address##*:}")" \
    '$2 ~ port && $4 == "01" && $5 !~ /:00000000$/ { found = 1 } END { exit !found }' /proc/net/tcp
}

# Waits for what is on its way after the first request to stop, and ends at once after the second one.
"${TIMED[@]}" --duration=1h >"${FOLDER}/stopped" 2>&1 &
load_pid=$!
while kill -0 "${load_pid}" 2>/dev/null && ! has_unread_bytes; do sleep 0.02; done
kill -INT "${load_pid}"
kill -TERM "${load_pid}"
wait "${load_pid}"
status=$?
output="$(<"${FOLDER}/stopped")"
[[ ${status} == 1 && -z ${output} ]] || fail "two requests to stop: exit code ${status}: ${output}"

if [[ $(ulimit -Hn) == unlimited || $(ulimit -Hn) -ge 5000 ]] && [[ $(</proc/sys/net/core/somaxconn) -le 4096 ]]; then
  failure connect_timeout "did not take a connection within 50ms" "${LOAD[@]}" --connections=4200 --connect_timeout=50ms
fi
kill -CONT "${server_pid}"
stop_server
finish_cases
