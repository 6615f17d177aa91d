#!/usr/bin/env bash
# Every flag of consumer/run_readme does what it says, and refuses what it cannot do: in a repository whose README is short,
# with a stand-in for Bazel.
#
# Usage: run_readme_flags_test.sh FLAG_CASES RUN_README RELEASE

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree"
export CALLS="${FOLDER}/calls" BAZEL="${FOLDER}/bin/bazel-here" PATH="${FOLDER}/bin:${PATH}"
copy_tree "${TREE}" "${@:2}"
mkdir -p "${TREE}"/third_party/rules_{cc,java}
touch "${TREE}"/third_party/rules_{cc,java}/defs.bzl
printf 'module(\n    name = "ioring",\n    version = "1.2.3",\n)\n' >"${TREE}/MODULE.bazel"
printf '## 1.2.3\n\nIt is there.\n' >"${TREE}/CHANGELOG.md"
{
  for block in '# WORKSPACE' '# MODULE.bazel'; do
    printf '```python\n%s\nfetch(\n    strip_prefix = "ioring-1.2.3",\n    url = "file:///tmp/ioring/ioring-1.2.3.tar.gz",\n)\n```\n' "${block}"
  done
  printf '```\n# .bazelrc\n```\n```python\n# BUILD.bazel\ncc_binary(\n    name = "server",\n)\n```\n'
  printf '## A server\n```cpp\nint main() {}\n```\n## A client\n```cpp\nint main() {}\n```\n'
} >"${TREE}/README.md"
# It says what it is to build from, and makes a server and a client that answers.
stand_in "${BAZEL}" <<'END'
[[ " $* " == *" build "* ]] || exit 0
echo "$*" >>"${CALLS}"
cat WORKSPACE MODULE.bazel 2>/dev/null >>"${CALLS}"
mkdir bazel-bin
printf '#!/bin/sh\necho "listening on 127.0.0.1:1"\nexec sleep 60\n' >bazel-bin/server
printf '#!/bin/sh\necho "%s"\n' "${ANSWER:-hello}" >bazel-bin/client
chmod +x bazel-bin/*
END
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
git_in_tree() { git -c init.defaultBranch=main -C "${TREE}" "$@" >/dev/null || fail "git $*"; }
git_in_tree init
git_in_tree add .
git_in_tree commit --message=first
readonly RUN="${TREE}/$2"
"${TREE}/bazel/release" "${FOLDER}/release" >/dev/null || fail "there is no release"

# built WORDS: that this was given to Bazel.
built() { grep -qF -- "$1" "${CALLS}" || fail "not built with $1: $(<"${CALLS}")"; }
not_built() { ! grep -qF -- "$1" "${CALLS}" || fail "built with $1: $(<"${CALLS}")"; }

: >"${CALLS}"
expect 0 "with WORKSPACE, what the README says builds" "${RUN}" -- --more
built "# WORKSPACE"
built "build --more //:server //:client"
not_built override_repository

: >"${CALLS}"
effect modules "with MODULE.bazel, what the README says builds" "${RUN}" --modules
built "# MODULE.bazel"
not_built "# WORKSPACE"
ANSWER=bye failure modules "the README's server answered 'bye'" "${RUN}" --modules

: >"${CALLS}"
effect archive "builds" "${RUN}" --archive="${FOLDER}/release"
built "file://${FOLDER}/release/ioring-1.2.3.tar.gz"
not_built sha256
(cd "${FOLDER}" && effect archive "builds" "${RUN}" --archive=release && [[ ${failures} == 0 ]]) || fail "a relative --archive"
failure archive "--archive=${FOLDER}/none is no folder" "${RUN}" --archive="${FOLDER}/none"

: >"${CALLS}"
effect offline "builds" "${RUN}" --offline
built "--override_repository=rules_cc="
built "--override_repository=rules_java="

: >"${CALLS}"
effect http "builds" "${RUN}" --http
built "url = \"http://127.0.0.1:"
built "sha256 = "
mkdir "${FOLDER}/empty"
failure http,archive "bazel/release has left no notes in ${FOLDER}/empty" "${RUN}" --http --archive="${FOLDER}/empty"

failure modules "there is no option --modules=yes" "${RUN}" --modules=yes
failure offline "there is no option --offline=yes" "${RUN}" --offline=yes
failure http "there is no option --http=yes" "${RUN}" --http=yes
BAZEL=bazel-none expect 1 "there is no bazel-none" "${RUN}"
: >"${CALLS}"
expect 1 "standard output is closed" closed "${RUN}"
[[ ! -s ${CALLS} ]] || fail "it was built for an output that is closed: $(<"${CALLS}")"
output_failures "${RUN}" --archive="${FOLDER}/release"
finish_cases
