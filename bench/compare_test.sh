#!/usr/bin/env bash
# The comparison works from end to end, with all servers that it is meant for. Its figures mean
# nothing here.
#
# Usage: compare_test.sh COMPARE LOAD SERVER EPOLL_LEVEL URING_MULTISHOT URING_ONESHOT

set -uo pipefail

readonly COMPARE="$1" LOAD="$2" SERVER="$3" EPOLL_LEVEL="$4" URING_MULTISHOT="$5" URING_ONESHOT="$6"
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# Runs a comparison with the arguments, and expects the exit code $1 and the words $2.
expect() {
  local code="$1" words="$2" output status
  shift 2
  output="$("${COMPARE}" --load="${LOAD}" --rounds=1 --duration=100ms --warmup=20ms --foreign_load_max=1 \
    "$@" 2>&1)"
  status=$?
  [[ ${status} == "${code}" ]] || fail "exit code ${status} instead of ${code}: ${output}"
  [[ ${output} == *"${words}"* ]] || fail "no '${words}' in: ${output}"
}

readonly SERVERS=(
  "managed=${SERVER} --listen=127.0.0.1:0 --engine=managed"
  "mirror=${SERVER} --listen=127.0.0.1:0 --engine=mirror"
  "multishot=${URING_MULTISHOT}"
  "incremental=${URING_MULTISHOT} --incremental"
  "oneshot=${URING_ONESHOT}"
  "fixed=${URING_ONESHOT} --fixed --connections=8"
  "epoll=${EPOLL_LEVEL}"
)
for shape in 3x64 2x70000 4x1000x16; do
  expect 0 "epoll  " --shapes="${shape}" --against=epoll "${SERVERS[@]}"
done
expect 2 "multishot takes" --shapes=2x64 --limits=multishot/epoll=0.001 "${SERVERS[2]}" "${SERVERS[6]}"
expect 1 "the server ended" --shapes=2x64 "broken=${SERVER} --no_such_flag"
expect 1 "no server is called so" --shapes=2x64 --only=absent "${SERVERS[@]}"
[[ ${failures} == 0 ]]
