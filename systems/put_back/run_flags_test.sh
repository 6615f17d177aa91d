#!/usr/bin/env bash
# Every flag of the program that puts defects back does what it says, and refuses what it cannot do: in a tree of its own, in
# which a stand-in for Bazel reads the source.
#
# Usage: run_flags_test.sh FLAG_CASES RUN

set -uo pipefail
source "$1"
# What is printed waits in a buffer, as it does by itself.
unset PYTHONUNBUFFERED

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree" RUN="${FOLDER}/tree/systems/put_back/run"
readonly KEPT="${FOLDER}/home/.cache/ioring-bazel/put_back"
export HOME="${FOLDER}/home"
mkdir "${HOME}"
copy_tree "${TREE}" "$2" bazel/python_program.py
# Its exit codes are those of Bazel.
stand_in "${TREE}/bazelw" <<'END'
[[ $1 != clean ]] || echo "clean $2" >>"${HOME}/cleaned"
[[ $1 != test ]] || grep -q "return 4;" sum.cc || exit 3
END
touch "${TREE}/BUILD.bazel"
printf 'int Sum() {\n  return 4;\n}\nTEST(Sum, IsFour) {}\n' >"${TREE}/sum.cc"
mkdir "${TREE}/systems/put_back/defects"
cat >"${TREE}/systems/put_back/defects/five.patch" <<'END'
From: somewhere
What: a sum is wrong
Test: //:sum_test FILTER=*IsFour*

diff --git a/sum.cc b/sum.cc
--- a/sum.cc
+++ b/sum.cc
@@ -1,3 +1,3 @@
 int Sum() {
-  return 4;
+  return 5;
 }
END
git -C "${TREE}" init --quiet || fail "there is no git"

effect list "a sum is wrong" "${RUN}" --list
effect list "//:sum_test FILTER=*IsFour*" "${RUN}" --list five
failure list "there is no defect called six" "${RUN}" --list six

effect check "1 of 1 defects can be put back" "${RUN}" --check
failure check "there is no defect called six" "${RUN}" --check six
failure check,list "not allowed with" "${RUN}" --check --list

expect 0 "1 of 1 found" "${RUN}"
[[ -n $(ls "${KEPT}") ]] || fail "no copy is kept"
failure remove "--remove takes no names" "${RUN}" --remove five
[[ -n $(ls "${KEPT}") ]] || fail "what was refused has removed the copy"
effect remove "" "${RUN}" --remove
[[ -z $(ls "${KEPT}") ]] || fail "--remove leaves $(ls "${KEPT}")"
grep -q "clean --expunge" "${HOME}/cleaned" || fail "--remove leaves what was built"
HOME=/dev/null failure remove "/dev/null" "${RUN}" --remove

# A test that is no longer there, and a line.
sed -i 's/IsFour/IsSix/' "${TREE}/systems/put_back/defects/five.patch"
failure check "no test is called *IsSix*" "${RUN}" --check
sed -i 's/IsSix/IsFour/; s/return 4/return 3/' "${TREE}/systems/put_back/defects/five.patch"
failure check "five: does not apply" "${RUN}" --check

expect 1 "unrecognized arguments: --checks" "${RUN}" --checks
[[ $(wc -l <<<"${output}") == 1 ]] || fail "more than a sentence: ${output}"
expect 0 "Puts defects that were known once back" "${RUN}" --help

output_failures "${RUN}" --list
output_failures "${RUN}" --help
finish_cases
