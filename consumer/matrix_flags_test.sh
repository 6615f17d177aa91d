#!/usr/bin/env bash
# Every flag of consumer/matrix does what it says, and refuses what it cannot do. Stand-ins play Bazel, compilers and what
# fetches archives, which are small ones.
#
# Usage: matrix_flags_test.sh FLAG_CASES MATRIX PROJECT_FILE...

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree" STORE="${FOLDER}/store"
export CALLS="${FOLDER}/calls" BAZEL="${FOLDER}/bin/bazel-here" HOME="${FOLDER}/home" PATH="${FOLDER}/bin:${PATH}"
copy_tree "${TREE}" "${@:2}"

# The archives of all versions, and their checksums in the script.
mkdir "${STORE}"
while read -r name version; do
  mkdir -p "${FOLDER}/made/${name}/"{absl,os,cc/private/toolchain}
  echo "${version}" >"${FOLDER}/made/${name}/absl/version.h"
  tar -cz -f "${STORE}/${name}-${version}.tar.gz" -C "${FOLDER}/made" "${name}"
  rm -r "${FOLDER}/made"
  sum="$(sha256sum "${STORE}/${name}-${version}.tar.gz" | cut -d' ' -f1)"
  sed -i -E "s/^(${name} ${version//./\\.}) [0-9a-f]{64} /\1 ${sum} /" "${TREE}/$2"
done < <(sed -nE 's/^(abseil|platforms|rules_cc) ([0-9.]+) [0-9a-f]{64} .*/\1 \2/p' "${TREE}/$2" | sort -u)
stand_in "${FOLDER}/bin/curl" <<END
[[ \${OFFLINE:-} == "" ]] || exit 1
for word in "\$@"; do [[ \${word} != *.part ]] || part="\${word}"; done
name="\${part##*/}"
echo "fetched \${name%.part}" >>"\${CALLS}"
cp "${STORE}/\${name%.part}" "\${part}"
END
# The program that it makes says so when it is run.
stand_in "${BAZEL}" <<'END'
words=" $* "
case "${words}" in
  *" help "*) printf '  --[no]enable_bzlmod\n  --[no]enable_workspace\n' ;;
  *" cquery "*"deps("*) echo "@$(cat WORKSPACE MODULE.bazel 2>/dev/null | grep -oE '(abseil-cpp|com_google_absl)' | tail -n 1)//absl:base" ;;
  *" build "*)
    echo "build with ${CC}: $(echo WORKSPACE MODULE.bazel*):${words}" >>"${CALLS}"
    mkdir -p ../built
    ln -sfn ../built bazel-bin
    printf '#!/bin/sh\necho ran >>"${CALLS}"\n' >bazel-bin/buffer_only
    chmod +x bazel-bin/buffer_only
    ;;
esac
END
for name in gcc clang good-cc; do stand_in "${FOLDER}/bin/${name}" <<<"cat >/dev/null"; done
readonly RUN=("${TREE}/$2" --archives="${FOLDER}/archives")
# One combination or a few.
readonly ONE=("${RUN[@]}" --abseil=20240722.0 --compilers=good-cc)

: >"${CALLS}"
effect fetch,archives "" "${RUN[@]}" --fetch
[[ $(find "${FOLDER}/archives" -name 'abseil-*.tar.gz' | wc -l) == 4 ]] || fail "not fetched: $(ls "${FOLDER}/archives")"
[[ $(<"${CALLS}") != *build* ]] || fail "--fetch builds: $(<"${CALLS}")"
OFFLINE=yes failure fetch,archives "there is no archive of abseil 20230802.1 in ${FOLDER}/none" "${RUN[@]}" --fetch \
  --archives="${FOLDER}/none"
failure archives "--archives=/dev/null/none is no folder, and cannot be made" "${RUN[@]}" --archives=/dev/null/none

# What is there is not fetched again, under whatever name.
: >"${CALLS}"
for file in "${FOLDER}/archives"/*; do mv "${file}" "${file%.tar.gz}-renamed"; done
effect list "20240722.0 abseil-cpp" "${ONE[@]}" --list
[[ ! -s ${CALLS} ]] || fail "--list builds or fetches: $(<"${CALLS}")"
(cd "${FOLDER}" && OFFLINE=yes effect list,archives "20240722.0" "${ONE[@]}" --list --archives=archives && [[ ${failures} == 0 ]]) ||
  fail "a relative --archives"
few="$(wc -l <<<"${output}")"
effect list,all "20240722.0 com_google_absl" "${ONE[@]}" --list --all
all="$(wc -l <<<"${output}")"
[[ ${all} == 16 && ${few} -ge 4 && ${few} -lt 16 ]] || fail "${few} combinations in place of ${all}"

effect abseil "20250814.1 " "${RUN[@]}" --abseil=20250814.1,20260526.0 --list
[[ ${output} == *20260526.0* && ${output} != *20240722.0* ]] || fail "not these versions: ${output}"
failure abseil "--abseil=1.2.3: it is not known where" "${RUN[@]}" --abseil=20250814.1,1.2.3
failure abseil "--abseil= names no version" "${RUN[@]}" --abseil=
effect compilers "good-cc" "${RUN[@]}" --compilers=good-cc --list
[[ ${output} != *clang* ]] || fail "other compilers: ${output}"
failure compilers "--compilers=no-such-cc: there is no no-such-cc" "${RUN[@]}" --compilers=gcc,no-such-cc
failure compilers "--compilers= names none" "${RUN[@]}" --compilers=

: >"${CALLS}"
expect 0 "${few} passed, 0 failed" "${ONE[@]}"
grep -q "build with good-cc: WORKSPACE MODULE.bazel\*:.* --enable_workspace " "${CALLS}" || fail "not so: $(<"${CALLS}")"
[[ $(grep -c ran "${CALLS}") == "${few}" ]] || fail "not every program was run: $(<"${CALLS}")"
: >"${CALLS}"
effect analyse "${few} passed, 0 failed" "${ONE[@]}" --analyse
grep -q -- " --nobuild " "${CALLS}" || fail "--analyse builds: $(<"${CALLS}")"
! grep -q ran "${CALLS}" || fail "--analyse runs a program"
: >"${CALLS}"
effect modules " passed, 0 failed" "${ONE[@]}" --modules
grep -q "MODULE.bazel:.* --enable_bzlmod " "${CALLS}" || fail "no modules: $(<"${CALLS}")"
sed 's/--\[no\]enable_bzlmod/--nothing/' "${BAZEL}" >"${FOLDER}/bin/bazel-old"
chmod +x "${FOLDER}/bin/bazel-old"
BAZEL=bazel-old failure modules "this Bazel has no modules" "${ONE[@]}" --modules
# Bazel 9 has modules, and no flag for them.
sed 's/^case .*/&\n  *" info release "*) echo "release 9.0.0" ;;/' "${FOLDER}/bin/bazel-old" >"${FOLDER}/bin/bazel-new"
chmod +x "${FOLDER}/bin/bazel-new"
: >"${CALLS}"
BAZEL=bazel-new effect modules " passed, 0 failed" "${ONE[@]}" --modules
! grep -q enable_bzlmod "${CALLS}" || fail "asked for what it does not know: $(<"${CALLS}")"
BAZEL=bazel-none failure list "there is no bazel-none" "${ONE[@]}" --list
failure all "there is no option --all=yes" "${RUN[@]}" --all=yes
failure analyse "there is no option --analyse=yes" "${RUN[@]}" --analyse=yes
failure fetch "there is no option --fetch=yes" "${RUN[@]}" --fetch=yes
failure modules "there is no option --modules=yes" "${RUN[@]}" --modules=yes
sed 's/ build "\*)/ build "*) exit 1/' "${BAZEL}" >"${FOLDER}/bin/bazel-bad"
chmod +x "${FOLDER}/bin/bazel-bad"
BAZEL=bazel-bad failure all,analyse "it does not build" "${ONE[@]}" --all --analyse

: >"${CALLS}"
expect 1 "standard output is closed" closed "${ONE[@]}"
[[ ! -s ${CALLS} ]] || fail "it was built for an output that is closed: $(<"${CALLS}")"
output_failures "${ONE[@]}"
finish_cases
