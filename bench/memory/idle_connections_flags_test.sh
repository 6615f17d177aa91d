#!/usr/bin/env bash
# Every flag of the count of idle memory does what it says, and refuses what it cannot do.
#
# Usage: idle_connections_flags_test.sh FLAG_CASES IDLE_CONNECTIONS SERVER

set -uo pipefail
source "$1"

readonly FOLDER="${TEST_TMPDIR:-$(mktemp -d)}"
readonly IDLE=("$2" --connections=20)

effect connections " 30 idle connections" "${IDLE[@]}" --connections=30
failure connections "--connections must be at least 1" "${IDLE[@]}" --connections=0
failure connections "connections" "${IDLE[@]}" --connections=-1

effect server "echo server, epoll" "${IDLE[@]}" --server="$3"
failure server "/nonexistent" "${IDLE[@]}" --server=/nonexistent

# A limit is not held to with so few.
effect io_uring_max "idle connections" "${IDLE[@]}" --io_uring_max=1e9
failure io_uring_max "--io_uring_max must be at least 0" "${IDLE[@]}" --io_uring_max=-1
failure io_uring_max "--io_uring_max must be at least 0" "${IDLE[@]}" --io_uring_max=nan
effect epoll_max "skipped: held to no limit" "${IDLE[@]}" --epoll_max=1
failure epoll_max "--epoll_max must be at least 0" "${IDLE[@]}" --epoll_max=-1

effect json "idle connections" "${IDLE[@]}" --json="${FOLDER}/json"
[[ $(<"${FOLDER}/json") == '{"kind": "idle_connection_memory", '* ]] || fail "--json says: $(<"${FOLDER}/json")"
failure json "--json=${FOLDER}/none/json cannot be written" "${IDLE[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *"idle connections"* ]] || fail "the file was refused after the run: ${output}"
failure json "--json=/dev/full cannot be written" "${IDLE[@]}" --json=/dev/full

output_failures "${IDLE[@]}"
expect 1 "is no flag" "${IDLE[@]}" word
finish_cases
