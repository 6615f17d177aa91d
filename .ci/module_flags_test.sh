#!/usr/bin/env bash
# Every flag of .ci/module does what it says, and refuses what it cannot do. Stand-ins play Bazel, and what makes and enters
# the root of Debian testing, which is as far as this goes.
#
# Usage: module_flags_test.sh FLAG_CASES MODULE BCR_FILE...

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree" ROOT="${FOLDER}/home/.cache/ioring-bazel/module/root"
export CALLS="${FOLDER}/calls" HOME="${FOLDER}/home" PATH="${FOLDER}/bin:${PATH}"
copy_tree "${TREE}" "${@:2}"
mkdir -p "${TREE}/consumer/workspace" "${TREE}/bazel"
readonly RUN="${TREE}/$2"
stand_in "${TREE}/bazelw" <<'END'
echo "bazelw in ${PWD##*/}: $*" >>"${CALLS}"
case "$1" in
  help) echo "--[no]${MODULES-enable_bzlmod}" ;;
  info) echo "release ${RELEASE:-7.4.1}" ;;
  build) [[ -z ${BROKEN:-} || $* != *"${BROKEN}"* ]] ;;
esac
END
stand_in "${TREE}/bazel/release" <<<'echo "release" >>"${CALLS}"'
stand_in "${FOLDER}/bin/id" <<<'echo "${USER_ID:-0}"'
stand_in "${FOLDER}/bin/apt-get" <<<'echo "Debian http://mirror.example"'
stand_in "${FOLDER}/bin/mmdebstrap" <<<'mkdir -p "${@: -2:1}/etc"'
# What is run in the root comes after its name.
stand_in "${FOLDER}/bin/unshare" <<'END'
while [[ $1 != _ ]]; do shift; done
echo "in root: ${*:3}" >>"${CALLS}"
END

called() { grep -qxF -- "$1" "${CALLS}" || fail "not called: $1: $(<"${CALLS}")"; }

: >"${CALLS}"
expect 0 "" "${RUN}"
called "in root: /src/.ci/module //third_party:all //buffer:all"
called "release"
[[ -x ${ROOT}/src/.ci/module ]] || fail "the repository is not in the root"

: >"${CALLS}"
effect analyse "" "${RUN}" --analyse //pool:all
called "in root: /src/.ci/module --analyse //pool:all"
effect matrix "" "${RUN}" --matrix --list --all
called "in root: /src/.ci/module --matrix --list --all"
effect analyse,matrix "" "${RUN}" --matrix --analyse --all
called "in root: /src/.ci/module --analyse --matrix --all"
USER_ID=1 failure analyse "needs root, to make and enter" "${RUN}" --analyse
USER_ID=1 failure matrix "needs root, to make and enter" "${RUN}" --matrix

# What the presubmit does needs no root.
: >"${CALLS}"
USER_ID=1 effect registry "" "${RUN}" --registry
! grep -q "in root" "${CALLS}" || fail "it entered the root: $(<"${CALLS}")"
grep -q "in workspace: build .* --nobuild --incompatible_autoload_externally= -- //..." "${CALLS}" || fail "$(<"${CALLS}")"
readonly BUILT='in anonymous-[0-9]+: build .*=-std=c\+\+20 --incompatible_autoload_externally= --incompatible.* -- @ioring//:ioring'
grep -qE "${BUILT}" "${CALLS}" || fail "nothing is built: $(<"${CALLS}")"
: >"${CALLS}"
effect registry,analyse "" "${RUN}" --registry --analyse
! grep -qE "${BUILT}" "${CALLS}" || fail "--analyse builds: $(<"${CALLS}")"
MODULES=nothing failure registry "this Bazel has no modules" "${RUN}" --registry
MODULES=nothing RELEASE=9.0.0 effect registry "" "${RUN}" --registry
BROKEN=--incompatible_strict_action_env failure registry "is not built with --incompatible_strict_action_env" "${RUN}" --registry
echo "[]" >"${TREE}/.bcr/metadata.template.json"
failure registry "metadata: fields" "${RUN}" --registry

failure analyse "there is no option --analyse=yes" "${RUN}" --analyse=yes
failure matrix "there is no option --matrix=yes" "${RUN}" --matrix=yes
failure registry "there is no option --registry=yes" "${RUN}" --registry=yes
no_output "it prints nothing itself: Bazel and consumer/matrix do, and tell where that is lost"
finish_cases
