#!/usr/bin/env bash
# The virtual interface takes at most 1 % of a message, and more than a limit is noticed.
#
# Usage: virtual_call_test.sh VIRTUAL_CALL SERVER LOAD

set -uo pipefail

readonly PROGRAM=("$1" "--server=$2" "--load=$3" --duration=500ms)

output="$("${PROGRAM[@]}" 2>&1)"
status=$?
printf '%s\n' "${output}"
if [[ ${output} == *"io_uring is"* && ${status} == 1 ]]; then
  echo "skipped: there is no io_uring here"
  exit 0
fi
[[ ${status} == 0 ]] || exit 1
# Nothing is so small.
"${PROGRAM[@]}" --part_max=-1 >/dev/null 2>&1
status=$?
[[ ${status} == 2 ]] || { echo "exit code ${status} instead of 2 for a limit below 0"; exit 1; }
