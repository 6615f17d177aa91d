#!/usr/bin/env bash
# The flag of bazel/tidy does what it says. A stand-in for Bazel says what it is asked for.
#
# Usage: tidy_flags_test.sh FLAG_CASES TIDY PACKAGES

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree"
export PATH="${FOLDER}/bin:${PATH}"
copy_tree "${TREE}" "${@:2}"
readonly RUN="${TREE}/$2"
stand_in "${FOLDER}/bin/clang-tidy-14" </dev/null
# A target that there is not.
stand_in "${TREE}/bazelw" <<<'echo "bazelw $*"; [[ $* != *//absent* ]] || exit 1'

effect tests "tidy_tests_aspect --output_groups=tidy //..." "${RUN}" --tests
effect tests "tidy_tests_aspect --output_groups=tidy //pool/..." "${RUN}" --tests //pool/...
failure tests "//absent" "${RUN}" --tests //absent
failure tests "there is no option --tests=yes" "${RUN}" --tests=yes
expect 0 "tidy_aspect --output_groups=tidy //..." "${RUN}"
expect 0 "tidy_aspect --output_groups=tidy -- //... -//bench/..." "${RUN}" -- //... -//bench/...
expect 1 "there is no option --test" "${RUN}" --test
[[ ${output} != *bazelw* ]] || fail "Bazel was run for an option that there is not: ${output}"

no_output "it prints nothing itself, and Bazel's exit code says whether anything was found"
finish_cases
