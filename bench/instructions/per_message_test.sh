#!/usr/bin/env bash
# The count of whole servers works for all of them, twice gives the same, and holds ratios to limits.
#
# Usage: per_message_test.sh PER_MESSAGE SERVER EPOLL_LEVEL URING_MULTISHOT URING_ONESHOT

set -uo pipefail

readonly PROGRAM="$1" SERVER="$2" EPOLL_LEVEL="$3" URING_MULTISHOT="$4" URING_ONESHOT="$5"
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# Runs it with the arguments, prints what it says, and expects the exit code $1.
expect() {
  local code="$1" status
  shift
  "${PROGRAM}" --connections=20 --messages=1 "$@" 2>&1
  status=$?
  [[ ${status} == "${code}" ]] || fail "exit code ${status} instead of ${code}: $*"
}

readonly OURS="${SERVER} --listen=127.0.0.1:0 --idle_timeout=0"
readonly SERVERS=(
  "managed=${OURS} --engine=managed"
  "mirror=${OURS} --engine=mirror"
  "managed_epoll=${OURS} --engine=managed --backend=epoll"
  "mirror_epoll=${OURS} --engine=mirror --backend=epoll"
  "uring_multishot=${URING_MULTISHOT}"
  "uring_oneshot=${URING_ONESHOT}"
  "epoll_level=${EPOLL_LEVEL}"
)

# What is reached, and a fifth for other compilers: a step back must show.
readonly LIMITS="managed/uring_multishot=3.60,mirror/uring_oneshot=4.30"

first="$(expect 0 --limits="${LIMITS}" "${SERVERS[@]}")" || exit 1
printf '%s\n' "${first}"
again="$(expect 0 "${SERVERS[5]}" "${SERVERS[6]}")"
for server in uring_oneshot epoll_level; do
  [[ $(grep "^${server} " <<<"${first}") == "$(grep "^${server} " <<<"${again}")" ]] ||
    fail "${server} is counted otherwise the second time: ${again}"
done
expect 2 --limits=uring_oneshot/epoll_level=0.1 "${SERVERS[5]}" "${SERVERS[6]}"
expect 1 "broken=${SERVER} --no_such_flag"
[[ ${failures} == 0 ]]
