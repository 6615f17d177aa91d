#!/usr/bin/env bash
# Every flag of the count of hot paths does what it says, and refuses what it cannot do.
#
# Usage: per_operation_flags_test.sh FLAG_CASES PER_OPERATION

set -uo pipefail
source "$1"

readonly FOLDER="${TEST_TMPDIR:-$(mktemp -d)}"
readonly PER_OPERATION="$2" RECORDED="${FOLDER}/recorded"

failure record "--record=${FOLDER}/none/file cannot be written" "${PER_OPERATION}" --record="${FOLDER}/none/file"
[[ ${output} != *"Instructions"* ]] || fail "the file was refused after the run: ${output}"
failure recorded "cannot read ${FOLDER}/none" "${PER_OPERATION}" --recorded="${FOLDER}/none"
[[ ${output} != *"Instructions"* ]] || fail "the file was missed after the run: ${output}"
failure band "--band must be at least 0" "${PER_OPERATION}" --band=-1
failure band "--band must be at least 0" "${PER_OPERATION}" --band=nan
failure json "--json=${FOLDER}/none/json cannot be written" "${PER_OPERATION}" --json="${FOLDER}/none/json"
output_failures "${PER_OPERATION}"
expect 1 "is no flag" "${PER_OPERATION}" word

# Where no process may be stepped through nothing is counted. That is well for whoever only looks, and a failure for whoever
# wants the figures. A tracer that has the program's children already is such a place.
untraceable() { strace -f -o /dev/null "$@"; }
if strace -o /dev/null true 2>/dev/null; then
  expect 0 "skipped: " untraceable "${PER_OPERATION}"
  failure record "nothing was counted" untraceable "${PER_OPERATION}" --record="${RECORDED}"
  failure json "nothing was counted" untraceable "${PER_OPERATION}" --json="${FOLDER}/json"
fi
[[ $("${PER_OPERATION}") != *"skipped: "* ]] || finish_cases

# What another compiler recorded stays, and what this one did is replaced.
echo "other path 7.0" >"${RECORDED}"
effect record,json "" "${PER_OPERATION}" --record="${RECORDED}" --json="${FOLDER}/json"
grep -q '^other path 7.0$' "${RECORDED}" || fail "--record lost what was recorded: $(<"${RECORDED}")"
[[ $(<"${FOLDER}/json") == '{"kind": "instructions_per_operation", '* ]] || fail "--json says: $(<"${FOLDER}/json")"
failure json "--json=/dev/full cannot be written" "${PER_OPERATION}" --json=/dev/full
failure record "--record=/dev/full cannot be written" "${PER_OPERATION}" --record=/dev/full

# Half as much again is within a band of 0.5, and not of 0.1.
awk '/^#/ { print; next } { $3 *= 1.5; print }' "${RECORDED}" >"${RECORDED}.more"
effect recorded,band "" "${PER_OPERATION}" --recorded="${RECORDED}.more" --band=0.5
expect 2 "--record=" "${PER_OPERATION}" --recorded="${RECORDED}.more" --band=0.1
finish_cases
