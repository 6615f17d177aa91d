#!/usr/bin/env bash
# Every flag of the echo server does what it says, and refuses what it cannot do.
#
# Usage: server_flags_test.sh FLAG_CASES SERVER LOAD

set -uo pipefail
source "$1"

readonly SERVER=("$2" --listen=127.0.0.1:0) LOAD="$3"
readonly FOLDER="${TEST_TMPDIR:-$(mktemp -d)}"
# It starts, and ends by itself.
readonly BRIEF=("${SERVER[@]}" --duration=1ms)

# A client for the server that runs.
client() {
  "${LOAD}" --target="${address}" --connections=1 --warmup=0 --messages=50 --progress=false "$@"
}

# ---- listen
effect_of_server listen "listening on 127.0.0.1:" "${SERVER[@]}" --listen=127.0.0.1:0 -- client
socket="$(mktemp -u /tmp/ioring-XXXXXX)"
effect_of_server listen "listening on unix:${socket}" "${SERVER[@]}" --listen="unix:${socket}" -- client
[[ ! -e ${socket} ]] || fail "the socket's path is left"
failure listen "--listen=nowhere" "${SERVER[@]}" --listen=nowhere
failure listen "--listen=127.0.0.1:65536" "${SERVER[@]}" --listen=127.0.0.1:65536

# ---- backend
effect_of_server backend "backend epoll" "${SERVER[@]}" --backend=epoll -- client
failure backend "--backend" "${SERVER[@]}" --backend=none
failure backend "--backend" "${SERVER[@]}" --backend=kqueue

# ---- engine
for engine in mirror managed; do
  effect_of_server engine "engine ${engine}" "${SERVER[@]}" --engine="${engine}" -- client
done
failure engine "--engine=fast" "${SERVER[@]}" --engine=fast

# ---- threads
effect_of_server threads "thread 1: " "${SERVER[@]}" --threads=2 -- client
if can_limit_threads "$2"; then
  # It runs one more on its own.
  failure threads "only 1 of 4 threads can be started" \
    with_two_threads "${SERVER[@]}" --max_connections=10 --buffer_size=4096 --threads=4
fi
failure threads "--threads=0" "${SERVER[@]}" --threads=0
failure threads "--threads=1025" "${SERVER[@]}" --threads=1025
failure threads "threads" "${SERVER[@]}" --threads=many
failure threads "--threads=1" "${SERVER[@]}" --listen="unix:${socket}" --threads=2

# ---- buffer_size
effect_of_server buffer_size "buffers of 8192 bytes" "${SERVER[@]}" --buffer_size=8192 -- client
for engine in mirror managed; do
  effect_of_server buffer_size "buffers of 67108864 bytes" "${SERVER[@]}" --engine="${engine}" --buffer_size=67108864 -- client
done
failure buffer_size "--buffer_size=0" "${SERVER[@]}" --buffer_size=0
failure buffer_size "--buffer_size=1000000000" "${SERVER[@]}" --buffer_size=1000000000

# ---- send_buffer_size: server_test has a peer that reads slowly.
for size in 0 4096; do
  effect_of_server send_buffer_size "total: " "${SERVER[@]}" --send_buffer_size="${size}" -- client
done
failure send_buffer_size "--send_buffer_size=67108865" "${SERVER[@]}" --send_buffer_size=67108865

# ---- max_connections: one of two is closed, which the client tells.
start_server "${SERVER[@]}" --max_connections=1
expect 1 "load: " client --connections=2
stop_server
[[ ${output} == *'"connections_refused": 1'* ]] || fail "nobody was refused: ${output}"
effect max_connections "total: " "${BRIEF[@]}" --max_connections=1
failure max_connections "--max_connections=0" "${SERVER[@]}" --max_connections=0
failure max_connections "--max_connections=1000001" "${SERVER[@]}" --max_connections=1000001

# ---- idle_timeout: a client that does nothing sees the end of the stream, and 0 is never.
wait_for_end() {
  local status
  exec 3<>"/dev/tcp/127.0.0.1/${address##*:}"
  read -r -t 30 -u 3
  status=$?
  exec 3>&-
  # Above 128: the time was up.
  [[ ${status} == 1 ]]
}
effect_of_server idle_timeout "timed out 1" "${SERVER[@]}" --idle_timeout=20ms -- wait_for_end
effect_of_server idle_timeout "timed out 0" "${SERVER[@]}" --idle_timeout=0 -- client
failure idle_timeout "--idle_timeout=-1s" "${SERVER[@]}" --idle_timeout=-1s
failure idle_timeout "idle_timeout" "${SERVER[@]}" --idle_timeout=soon

# ---- spin: waiting takes CPU time. On a busy machine it gets little of it.
effect spin "total: " "${SERVER[@]}" --duration=300ms --spin=0
asleep="$(number cpu_seconds)"
effect spin "total: " "${SERVER[@]}" --duration=1s --spin=10s
at_least "$(number cpu_seconds)" "$(awk -v a="${asleep}" 'BEGIN { print a + 0.05 }')" ||
  fail "--spin takes no more than ${asleep} s of CPU time: ${output}"
failure spin "--spin=-1us" "${SERVER[@]}" --spin=-1us
failure spin "--spin=9000h" "${SERVER[@]}" --spin=9000h

# ---- batch_delay: it waits for more than one client has, from before the message was sent.
effect_of_server batch_delay "total: " "${SERVER[@]}" --batch_delay=20ms -- \
  client --messages=5 --json="${FOLDER}/delayed"
output="$(<"${FOLDER}/delayed")"
at_least "$(number latency_p50_ns)" 10000000 || fail "--batch_delay delays nothing: ${output}"
failure batch_delay "--batch_delay=-1us" "${SERVER[@]}" --batch_delay=-1us
failure batch_delay "--batch_delay=1.001s is not possible: it takes at most a second" "${SERVER[@]}" --batch_delay=1001ms

# ---- report_interval
effect report_interval "0 connections, 0 msg/s" "${SERVER[@]}" --report_interval=10ms --duration=100ms
failure report_interval "--report_interval=-1s" "${SERVER[@]}" --report_interval=-1s

# ---- duration
effect duration "total: " "${SERVER[@]}" --duration=10ms
failure duration "--duration=-1s" "${SERVER[@]}" --duration=-1s
failure duration "duration" "${SERVER[@]}" --duration=10

# ---- stats_json: what the last line says.
for threads in 1 2; do
  effect stats_json "statistics: " "${BRIEF[@]}" --threads="${threads}" --stats_json="${FOLDER}/stats"
  [[ "statistics: $(<"${FOLDER}/stats")" == "$(tail -n 1 <<<"${output}")" ]] || fail "not in --stats_json: ${output}"
done
effect_of_server stats_json "total: " "${SERVER[@]}" --stats_json="${FOLDER}/stats" -- client
output="$(<"${FOLDER}/stats")"
[[ $(number messages) == 50 ]] || fail "--stats_json says other figures: ${output}"
# Before it listens. What is there already stays.
failure stats_json "--stats_json=${FOLDER}/none/stats" "${BRIEF[@]}" --stats_json="${FOLDER}/none/stats"
[[ ${output} != *listening* ]] || fail "the file was refused after the run: ${output}"
failure stats_json "--stats_json=${FOLDER}" "${BRIEF[@]}" --stats_json="${FOLDER}"
failure stats_json "--listen" "${BRIEF[@]}" --stats_json="${FOLDER}/stats" --listen=nowhere
[[ -s ${FOLDER}/stats ]] || fail "a run that failed took the last one's file"
failure stats_json "--stats_json=/dev/full cannot be written" "${BRIEF[@]}" --stats_json=/dev/full

output_failures "${BRIEF[@]}"
# With the start's line written, and no room for the end's.
expect 1 "is no flag" "${SERVER[@]}" word
finish_cases
