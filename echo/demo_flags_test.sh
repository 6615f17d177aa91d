#!/usr/bin/env bash
# The demo has no flags; its table is not lost without a word, and it takes programs that work.
#
# Usage: demo_flags_test.sh FLAG_CASES DEMO SERVER LOAD

set -uo pipefail
source "$1"

readonly DEMO="$2" SERVER="$3" LOAD="$4"

expect 2 "usage: demo.sh SERVER LOAD" "${DEMO}"
expect 1 "did not start" "${DEMO}" /bin/false "${LOAD}"
expect 1 "the load generator failed" "${DEMO}" "${SERVER}" /bin/false
output_failures "${DEMO}" "${SERVER}" "${LOAD}"
finish_cases
