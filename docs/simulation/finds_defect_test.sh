#!/usr/bin/env bash
# The program "$1" is the test of a server that has a defect: it must fail, with a seed, what that seed shrinks to, and its
# log; and that seed alone must give the same.
set -uo pipefail
unset GTEST_OUTPUT XML_OUTPUT_FILE TEST_PREMATURE_EXIT_FILE

fail() {
  printf 'FAILED: %s\n' "$*"
  exit 1
}

found="$("$1")" && fail "the defect is not found: ${found}"
seed="$(sed -n 's/^SEED=\([0-9]*\): seed .*/\1/p' <<<"${found}")"
[[ ${seed} =~ ^[0-9]+$ && ${seed} -le 20 ]] || fail "no seed up to 20 in: ${found}"
grep -q '^shrunk: seed [0-9]*, length ' <<<"${found}" || fail "nothing was shrunk: ${found}"
lines="$(grep -cE '^[0-9]+\.[0-9]{9} ' <<<"${found}")"
[[ ${lines} -ge 5 && ${lines} -le 60 ]] || fail "a log of ${lines} lines: ${found}"

# All but how long it took.
what() {
  sed -E 's/\([0-9]+ ms( total)?\)//' <<<"$1"
}
again="$(SEED="${seed}" "$1")" && fail "SEED=${seed} passes"
[[ $(what "${again}") == "$(what "${found}")" ]] || fail "SEED=${seed} gives something else: ${again} -- and before: ${found}"
echo "PASS: seed ${seed}, a log of ${lines} lines"
