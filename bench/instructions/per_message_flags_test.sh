#!/usr/bin/env bash
# Every flag of the count of whole servers does what it says, and refuses what it cannot do.
#
# Usage: per_message_flags_test.sh FLAG_CASES PER_MESSAGE EPOLL_LEVEL

set -uo pipefail
source "$1"

readonly FOLDER="${TEST_TMPDIR:-$(mktemp -d)}"
readonly PER_MESSAGE=("$2" --connections=2 --messages=1 "epoll=$3")

effect connections "3 connections, 64 B" "${PER_MESSAGE[@]}" --connections=3
failure connections "--connections=0 must lie between" "${PER_MESSAGE[@]}" --connections=0
failure connections "--connections=10001 must lie between" "${PER_MESSAGE[@]}" --connections=10001
# The limit is raised as far as the system allows; where that is not far enough, nothing is counted.
effect connections "120 connections" limited -Sn 100 "${PER_MESSAGE[@]}" --connections=120
failure connections "the system allows 100 (ulimit -n)" limited -n 100 "${PER_MESSAGE[@]}" --connections=120
effect message_size "2 connections, 100 B" "${PER_MESSAGE[@]}" --message_size=100
failure message_size "--message_size=0 must lie between" "${PER_MESSAGE[@]}" --message_size=0
failure message_size "message_size" "${PER_MESSAGE[@]}" --message_size=small
effect messages "epoll " "${PER_MESSAGE[@]}" --messages=2
failure messages "--messages=0 must lie between" "${PER_MESSAGE[@]}" --messages=0

# Lines of functions are indented.
effect profile $'\n    ' "${PER_MESSAGE[@]}" --profile=2
[[ $(grep -c '^    ' <<<"${output}") -le 3 ]] || fail "--profile=2 shows more functions: ${output}"
failure profile "profile" "${PER_MESSAGE[@]}" --profile=-1

effect json "epoll " "${PER_MESSAGE[@]}" --json="${FOLDER}/json"
[[ $(<"${FOLDER}/json") == '{"kind": "instructions_per_message", "server": "epoll", "connections": 2,'* ]] ||
  fail "--json says: $(<"${FOLDER}/json")"
effect json 'a"\b ' "$2" --connections=2 --messages=1 'a"\b='"$3" --json="${FOLDER}/json"
[[ $(<"${FOLDER}/json") == *'"server": "a\"\\b", '* ]] || fail "--json says: $(<"${FOLDER}/json")"
failure json "--json=${FOLDER}/none/json cannot be written" "${PER_MESSAGE[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *"Instructions"* ]] || fail "the file was refused after the run: ${output}"
failure json "--json=/dev/full cannot be written" "${PER_MESSAGE[@]}" --json=/dev/full

effect only "other " "${PER_MESSAGE[@]}" "other=$3" --only=other
[[ ${output} != *"epoll "* ]] || fail "--only=other measures others: ${output}"
failure only "--only=absent: no server is called so" "${PER_MESSAGE[@]}" --only=absent

effect limits "epoll / epoll: 1.000 (at most 1.10)" "${PER_MESSAGE[@]}" --limits=epoll/epoll=1.1
expect 2 "the limit is 0.90" "${PER_MESSAGE[@]}" --limits=epoll/epoll=0.9
expect 2 "the limit is 0.90" "${PER_MESSAGE[@]}" --limits="epoll/epoll=9, epoll/epoll=0.9"
effect limits "epoll " "${PER_MESSAGE[@]}" "other=$3" --only=epoll --limits=other/epoll=0.1
failure limits 'no server is called "absent"; there are epoll' "${PER_MESSAGE[@]}" --limits=epoll/absent=9
[[ ${output} != *"Instructions"* ]] || fail "the limit was refused after the run: ${output}"
failure limits '"epoll=1" is no limit' "${PER_MESSAGE[@]}" --limits=epoll=1

output_failures "${PER_MESSAGE[@]}"
finish_cases
