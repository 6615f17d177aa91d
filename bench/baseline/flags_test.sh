#!/usr/bin/env bash
# Every flag of the hand-written servers does what it says, and refuses what it cannot do.
#
# Usage: flags_test.sh FLAG_CASES EPOLL_LEVEL URING_MULTISHOT URING_ONESHOT LOAD

set -uo pipefail
source "$1"

readonly EPOLL_LEVEL="$2" URING_MULTISHOT="$3" URING_ONESHOT="$4" LOAD="$5"

# A client for the server that runs: what does not fit into small buffers.
client() {
  "${LOAD}" --target="${address}" --connections=2 --message_size=3000 --warmup=0 --messages=20 --progress=false "$@"
}

# Whether the server "$1" listens where it is told to. A port that was free may be somebody else's by then.
listens_at_a_port() {
  local tries port
  for tries in {1..20}; do
    start_server "${EPOLL_LEVEL}"
    port="${address##*:}"
    stop_server
    try_server "$1" --listen="${port}" || continue
    [[ ${address} == "127.0.0.1:${port}" ]] || fail "--listen=${port}: it listens on ${address}"
    stop_server
    return
  done
  fail "$1 found no port in ${tries} tries"
}

for server in "${EPOLL_LEVEL}" "${URING_MULTISHOT}" "${URING_ONESHOT}"; do
  effect_of_server listen "listening on 127.0.0.1:" "${server}" --listen=0 -- client
  listens_at_a_port "${server}"
  failure listen "--listen=65536: it takes a number from 0 to 65535" "${server}" --listen=65536
  failure listen "--listen=any" "${server}" --listen=any
  failure listen "--listen=" "${server}" --listen=

  effect_of_server buffer_size "cpu_seconds=" "${server}" --buffer_size=100 -- client
  failure buffer_size "--buffer_size=0" "${server}" --buffer_size=0
  failure buffer_size "--buffer_size=64k" "${server}" --buffer_size=64k
  failure buffer_size "--buffer_size=99999999999" "${server}" --buffer_size=99999999999

  expect 1 "usage: " "${server}" --no_such_flag
  output_failures "${server}"
done

effect_of_server buffers "cpu_seconds=" "${URING_MULTISHOT}" --buffers=2 --buffer_size=512 -- client
failure buffers "--buffers=0" "${URING_MULTISHOT}" --buffers=0
failure buffers "no power of two" "${URING_MULTISHOT}" --buffers=3
failure buffers "--buffers=65536" "${URING_MULTISHOT}" --buffers=65536

# The one that is too many is closed or refused.
for server in "${URING_MULTISHOT}" "${URING_ONESHOT}"; do
  effect_of_server connections "cpu_seconds=" "${server}" --connections=2 -- client
  failure connections "--connections=0" "${server}" --connections=0
  failure connections "--connections=-1" "${server}" --connections=-1
done

effect_of_server incremental "cpu_seconds=" "${URING_MULTISHOT}" --incremental -- client
failure incremental "--incremental=2" "${URING_MULTISHOT}" --incremental=2

effect_of_server fixed "cpu_seconds=" "${URING_ONESHOT}" --fixed --connections=8 -- client
failure fixed "--fixed=yes" "${URING_ONESHOT}" --fixed=yes
finish_cases
