#!/usr/bin/env bash
# The flag of bazel/format does what it says, and refuses what it cannot do. A stand-in for the formatters makes bad files good.
#
# Usage: format_flags_test.sh FLAG_CASES FORMAT PACKAGE PACKAGE_LOCK

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree"
export HOME="${FOLDER}/home" PATH="${FOLDER}/bin:${PATH}"
copy_tree "${TREE}" "${@:2}"
readonly RUN="${TREE}/$2" NPM="${HOME}/.cache/ioring-bazel/npm-$(cksum <"$4" | cut -d' ' -f1)"
stand_in "${FOLDER}/bin/clang-format-14" <<'END'
[[ $1 != --version ]] || { echo "clang-format version 14.0.6"; exit; }
if [[ $1 == -i ]]; then exec sed -i s/bad/good/ "${@:2}"; fi
! grep -l bad "${@:3}" >&2
END
stand_in "${NPM}/node_modules/.bin/buildifier" <<'END'
if [[ $1 == --mode=fix ]]; then exec sed -i s/bad/good/ "${@:3}"; fi
! grep -l bad "${@:3}" >&2
END
stand_in "${NPM}/node_modules/.bin/action-validator" <<<'! grep -l bad "$@" >&2'
touch "${NPM}/ready"
mkdir -p "${TREE}/.github/workflows"

# write WORD: into a file of each kind.
write() {
  local file
  for file in one.cc BUILD.bazel .github/workflows/ci.yml; do echo "$1" >"${TREE}/${file}"; done
}

write good
effect check "1 C++ and 1 Bazel files are as they should be" "${RUN}" --check
write bad
failure check "one.cc" "${RUN}" --check
[[ ${output} == *BUILD.bazel* && ${output} == *ci.yml* ]] || fail "it does not name all files: ${output}"
[[ $(<"${TREE}/one.cc") == bad && $(<"${TREE}/BUILD.bazel") == bad ]] || fail "--check changes files"
failure check "there is no ${TREE}/none" "${RUN}" --check "${TREE}/none"
failure check "usage: bazel/format" "${RUN}" --check=yes
echo good >"${TREE}/one.cc"
effect check "1 C++ and 0 Bazel" "${RUN}" --check "${TREE}/one.cc"
write bad
expect 0 "" "${RUN}"
[[ $(<"${TREE}/one.cc") == good && $(<"${TREE}/BUILD.bazel") == good ]] || fail "it does not format"
expect 1 "usage: bazel/format" "${RUN}" --chek
expect 1 "there is no --check" "${RUN}" "${TREE}/one.cc" --check

no_output "what it says is on standard error, and its exit code says the same"
finish_cases
