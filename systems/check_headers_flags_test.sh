#!/usr/bin/env bash
# Every flag of systems/check_headers does what it says, and refuses what it cannot do. A stand-in plays the compiler: it
# finds something in files that say "bad".
#
# Usage: check_headers_flags_test.sh FLAG_CASES CHECK_HEADERS IORING_CC

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree" LIBRARIES="${FOLDER}/libraries" SYSROOT="${FOLDER}/sysroot"
copy_tree "${TREE}" "${@:2}"
readonly RUN="${TREE}/$2"
mkdir -p "${LIBRARIES}"/{abseil-cpp,googletest,google_benchmark,liburing} "${SYSROOT}/usr/include/c++/v1"
stand_in "${TREE}/bazel/macos_cross/install" <<<"echo '${FOLDER}/tools'"
stand_in "${FOLDER}/tools/zig/zig" <<'END'
printf '%s\n' "$@" >"${0%/*}/arguments"
! grep bad "${@: -1}"
END
echo good >"${TREE}/good.cc"
echo bad >"${TREE}/bad.cc"

effect libraries "musl: 1 files compile, 0 do not" "${RUN}" "--libraries=${LIBRARIES}" musl good.cc
grep -qxF "${LIBRARIES}/abseil-cpp" "${FOLDER}/tools/zig/arguments" || fail "Abseil is not taken from --libraries"
failure libraries "abseil-cpp is not at /nowhere/abseil-cpp" "${RUN}" --libraries=/nowhere musl good.cc
expect 1 "musl: 1 files compile, 1 do not" "${RUN}" "--libraries=${LIBRARIES}" musl good.cc bad.cc
[[ ${output} == *"musl, bad.cc:"* ]] || fail "it does not name the file: ${output}"

effect sysroot "freebsd: 1 files compile" "${RUN}" "--libraries=${LIBRARIES}" "--sysroot=${SYSROOT}" freebsd good.cc
grep -qxF -- "--sysroot=${SYSROOT}" "${FOLDER}/tools/zig/arguments" || fail "the compiler is not told of --sysroot"
failure sysroot "there is no usr/include/c++/v1" "${RUN}" "--libraries=${LIBRARIES}" --sysroot=/nowhere openbsd good.cc
expect 1 "freebsd needs --sysroot" "${RUN}" "--libraries=${LIBRARIES}" freebsd good.cc

expect 1 "what is --sysrot=/" "${RUN}" --sysrot=/ freebsd
expect 1 "for which system?" "${RUN}"
output_failures "${RUN}" "--libraries=${LIBRARIES}" musl good.cc
finish_cases
