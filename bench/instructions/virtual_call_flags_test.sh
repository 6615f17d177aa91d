#!/usr/bin/env bash
# Every flag of the cost of virtual calls does what it says, and refuses what it cannot do.
#
# Usage: virtual_call_flags_test.sh FLAG_CASES VIRTUAL_CALL SERVER LOAD

set -uo pipefail
source "$1"

readonly FOLDER="${TEST_TMPDIR:-$(mktemp -d)}"
# A part that is never reached: here times mean nothing.
readonly VIRTUAL_CALL=("$2" --server="$3" --load="$4" --duration=20ms --part_max=1e9)

failure server "--server is missing" "${VIRTUAL_CALL[@]}" --server=
failure load "--load is missing" "${VIRTUAL_CALL[@]}" --load=
failure duration "--duration must be at least 1ms" "${VIRTUAL_CALL[@]}" --duration=-1s
failure part_max "--part_max must be a number" "${VIRTUAL_CALL[@]}" --part_max=nan
failure json "--json=${FOLDER}/none/json cannot be written" "${VIRTUAL_CALL[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *"a call to prepare"* ]] || fail "the file was refused after the run: ${output}"
expect 1 "is no flag" "${VIRTUAL_CALL[@]}" word

said="$("${VIRTUAL_CALL[@]}" --server=/nonexistent 2>&1)"
[[ ${said} != *"io_uring is"* ]] || { echo "skipped: there is no io_uring here"; finish_cases; }
[[ ${said} == *"/nonexistent"* ]] || fail "--server=/nonexistent: ${said}"
effect server,load,duration,part_max,json "a message (50 connections" "${VIRTUAL_CALL[@]}" --json="${FOLDER}/json"
expect 2 "the limit is -100.00 %" "${VIRTUAL_CALL[@]}" --part_max=-1
[[ $(<"${FOLDER}/json") == '{"kind": "virtual_call", '* ]] || fail "--json says: $(<"${FOLDER}/json")"
failure json "--json=/dev/full cannot be written" "${VIRTUAL_CALL[@]}" --json=/dev/full
output_failures "${VIRTUAL_CALL[@]}"
finish_cases
