#!/usr/bin/env bash
# An idle connection costs a ring at most 128 bytes, and a limit that is broken is noticed.
#
# Usage: idle_connections_test.sh IDLE_CONNECTIONS SERVER

set -uo pipefail

readonly PROGRAM="$1" SERVER="$2"

"${PROGRAM}" --connections=9000 --server="${SERVER}" --io_uring_max=128 --epoll_max=128 || exit 1
output="$("${PROGRAM}" --connections=2000 --epoll_max=10 2>&1)"
status=$?
[[ ${output} != *"skipped: "* ]] || exit 0
[[ ${status} == 2 && ${output} == *"the limit is 10"* ]] || {
  printf 'exit code %s instead of 2 for a limit of 10 bytes: %s\n' "${status}" "${output}"
  exit 1
}
