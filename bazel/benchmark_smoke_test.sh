#!/usr/bin/env bash
# Runs every case of a benchmark for a moment. A case that cannot do what it measures fails the test.
set -u
output="$("$1" --benchmark_min_time=0.001s --benchmark_format=csv)" || exit 1
printf '%s\n' "${output}"
cases="$(grep -c '^"' <<<"${output}")"
# The columns end with: error_occurred, error_message.
errors="$(grep -c '^".*,true,' <<<"${output}")"
[[ ${cases} -gt 0 ]] || { echo "it measured nothing"; exit 1; }
[[ ${errors} == 0 ]] || { echo "${errors} of ${cases} cases failed"; exit 1; }
