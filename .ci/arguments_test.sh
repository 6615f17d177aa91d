#!/usr/bin/env bash
# Programs that take no flags refuse one with a sentence, and do not go on for minutes as if it were not there.
#
# Usage: arguments_test.sh FLAG_CASES PROGRAM...

set -uo pipefail
source "$1"

for program in "${@:2}"; do
  # One that goes on is ended.
  expect 1 "--quick" timeout 10 "${program}" --quick
  [[ $(wc -l <<<"${output}") == 1 ]] || fail "more than a sentence: ${output}"
done
finish_cases
