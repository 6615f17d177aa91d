#!/usr/bin/env bash
# The hot paths execute as many instructions as is recorded for this compiler; and another figure is
# noticed.
#
# Usage: per_operation_test.sh PER_OPERATION RECORDED

set -uo pipefail

readonly PROGRAM="$1" RECORDED="$2"
changed="$(mktemp)"
trap 'rm -f "${changed}"' EXIT

"${PROGRAM}" --recorded="${RECORDED}" || exit 1
sed '/^[^#]/s/\([0-9.]*\)$/1\1/' "${RECORDED}" >"${changed}"
output="$("${PROGRAM}" --recorded="${changed}" 2>&1)"
status=$?
if [[ ${output} == *"skipped: "* ]]; then
  exit 0
fi
[[ ${status} == 2 && ${output} == *"--record="* ]] || {
  printf 'exit code %s instead of 2 for figures that are not the recorded ones: %s\n' "${status}" "${output}"
  exit 1
}
