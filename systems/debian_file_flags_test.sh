#!/usr/bin/env bash
# Every flag of systems/debian_file does what it says, and refuses what it cannot do. Stand-ins play apt.
#
# Usage: debian_file_flags_test.sh FLAG_CASES DEBIAN_FILE

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly RUN="$2" LISTS="${FOLDER}/home/.cache/ioring-bazel/debian/lists"
export HOME="${FOLDER}/home" PATH="${FOLDER}/bin:${PATH}"
stand_in "${FOLDER}/bin/apt-get" <<'END'
[[ $1 != indextargets ]] || echo "${MIRROR-Debian http://mirror.example}"
# There is no other suite.
[[ $* != *update* ]]
END
stand_in "${FOLDER}/bin/apt-cache" <<'END'
printf '%s - a package\n' "linux-image-6.12-${*: -1}" "linux-image-6.1-${*: -1}"
END
mkdir -p "${LISTS}/bookworm-amd64"
touch "${LISTS}/bookworm-amd64/updated"

effect names 'linux-image-6.1-^(linux-image-.*)$' "${RUN}" --names amd64 'linux-image-.*'
[[ ${output} == *6.1-*6.12-* ]] || fail "the newest is not the last: ${output}"
failure names "usage: debian_file" "${RUN}" --names
failure names "usage: debian_file" "${RUN}" --names amd64
MIRROR=Ubuntu failure names "apt has no Debian mirror" "${RUN}" --names amd64 'linux-image-.*'

expect 1 "there is no option --name" "${RUN}" --name amd64 linux-image
expect 1 "usage: debian_file" "${RUN}" amd64 linux-image
output_failures "${RUN}" --names amd64 'linux-image-.*'
finish_cases
