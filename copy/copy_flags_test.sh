#!/usr/bin/env bash
# Every flag of the copier does what it says, and refuses what it cannot do.
#
# Usage: copy_flags_test.sh FLAG_CASES COPY

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/copy.XXXXXX")"
mkdir "${FOLDER}/from"
printf 'small' >"${FOLDER}/from/small"
head -c 300000 /dev/urandom >"${FOLDER}/from/large"
readonly COPY=("$(realpath "$2")" --progress=false) PATHS=("${FOLDER}/from/." "${FOLDER}/to")
mkdir "${FOLDER}/to"

# effect_in_json FLAG NAME VALUE COMMAND...: the summary has this member.
effect_in_json() {
  local flag="$1" member="\"$2\": $3"
  shift 3
  effect "${flag}" "${member}" "$@" --json=- "${PATHS[@]}"
}

for method in auto fixed managed plain kernel; do
  effect_in_json method method "\"${method}\"" "${COPY[@]}" --method="${method}"
  cmp "${FOLDER}/from/large" "${FOLDER}/to/large" || fail "--method=${method} copies something else"
done
effect_in_json method files_kernel 2 "${COPY[@]}" --method=kernel
(cd / && BUILD_WORKING_DIRECTORY="${FOLDER}" "${COPY[@]}" from/small seen_from_there) >/dev/null &&
  cmp "${FOLDER}/from/small" "${FOLDER}/seen_from_there" || fail "paths are not seen from BUILD_WORKING_DIRECTORY"
failure method "--method" "${COPY[@]}" --method=magic "${PATHS[@]}"

effect_in_json reflink files_reflink 0 "${COPY[@]}" --reflink=never
failure reflink "--reflink" "${COPY[@]}" --reflink=sometimes "${PATHS[@]}"
failure reflink,method "--reflink" "${COPY[@]}" --reflink=never --method=kernel "${PATHS[@]}"
failure reflink,method "--reflink=always" "${COPY[@]}" --reflink=always --method=plain "${PATHS[@]}"

effect_in_json depth depth 3 "${COPY[@]}" --depth=3
effect_in_json depth depth 4 "${COPY[@]}" --depth=0
failure depth "--depth" "${COPY[@]}" --depth=1025 "${PATHS[@]}"
effect_in_json chunk chunk_bytes 8192 "${COPY[@]}" --chunk=8192
effect_in_json chunk chunk_bytes 262144 "${COPY[@]}" --chunk=0
failure chunk "--chunk" "${COPY[@]}" --chunk=5000 "${PATHS[@]}"

# Where the file system of the tests has direct I/O.
if dd if="${FOLDER}/from/large" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null; then
  effect_in_json direct files_direct 1 "${COPY[@]}" --direct=always
  cmp "${FOLDER}/from/large" "${FOLDER}/to/large" || fail "--direct=always copies something else"
else
  failure direct "direct I/O" "${COPY[@]}" --direct=always "${PATHS[@]}"
fi
effect_in_json direct files_direct 0 "${COPY[@]}" --direct=never
effect_in_json direct files_direct 0 "${COPY[@]}" --direct=auto
failure direct "--direct" "${COPY[@]}" --direct=sometimes "${PATHS[@]}"
failure direct,method "--direct" "${COPY[@]}" --direct=always --method=kernel "${PATHS[@]}"
effect rings "copied 2 files" "${COPY[@]}" --rings=3 "${PATHS[@]}"
failure rings "--rings" "${COPY[@]}" --rings=65 "${PATHS[@]}"

effect_in_json verify verified true "${COPY[@]}" --verify
failure verify "verify" "${COPY[@]}" --verify=perhaps "${PATHS[@]}"
effect sync "copied 2 files" "${COPY[@]}" --sync "${PATHS[@]}"
failure sync "sync" "${COPY[@]}" --sync=perhaps "${PATHS[@]}"
effect_in_json resume skipped 2 "${COPY[@]}" --resume
failure resume "resume" "${COPY[@]}" --resume=perhaps "${PATHS[@]}"

effect dry_run "would copy 2 files" "${COPY[@]}" --dry_run "${FOLDER}/from" "${FOLDER}/dry"
[[ ! -e ${FOLDER}/dry ]] || fail "--dry_run writes"
failure dry_run "dry_run" "${COPY[@]}" --dry_run=perhaps "${PATHS[@]}"

effect_in_json backend backend '"epoll' "${COPY[@]}" --backend=epoll
failure backend "--backend" "${COPY[@]}" --backend=none "${PATHS[@]}"

effect json "copied" "${COPY[@]}" --json="${FOLDER}/json" "${PATHS[@]}"
output="$(<"${FOLDER}/json")"
[[ $(number files) == 2 ]] || fail "--json says: ${output}"
failure json "--json=${FOLDER}/none/json cannot be written" "${COPY[@]}" --json="${FOLDER}/none/json" "${PATHS[@]}"
output_failures "${COPY[@]}" --json=- "${PATHS[@]}"

# What takes a while: many files, each brought to the disk.
mkdir "${FOLDER}/many"
for ((i = 0; i < 3000; ++i)); do printf '%s' "$i" >"${FOLDER}/many/$i"; done
head -c 100000000 /dev/zero >"${FOLDER}/many/large"
on_terminal() { script -qec "$*" /dev/null </dev/null; }
effect progress "files" on_terminal "${COPY[@]}" --progress --sync "${FOLDER}/many" "${FOLDER}/progress"
[[ ${output} == *"/s"*"copied 3001 files"* ]] || fail "--progress shows: ${output}"
effect progress "copied" on_terminal "${COPY[@]}" --progress=false "${PATHS[@]}"
failure progress "progress" "${COPY[@]}" --progress=perhaps "${PATHS[@]}"

# An interrupt ends it with the summary, and with nothing half-written.
rm -rf "${FOLDER}/progress"
"${COPY[@]}" --sync "${FOLDER}/many" "${FOLDER}/progress" >"${FOLDER}/said" 2>&1 &
copier=$!
until [[ -d ${FOLDER}/progress ]] || ! kill -0 "${copier}" 2>/dev/null; do sleep 0.01; done
kill -INT "${copier}"
wait "${copier}"
[[ $? == 1 && $(<"${FOLDER}/said") == *"stopped before the end"* ]] || fail "an interrupt: $(<"${FOLDER}/said")"
[[ -z $(find "${FOLDER}/progress" -name '.ioring-copy-*') ]] || fail "an interrupt leaves a temporary name"

output_failures "${COPY[@]}" "${PATHS[@]}"
expect 1 "a source and a destination" "${COPY[@]}" "${FOLDER}/from"
expect 1 "it does not exist" "${COPY[@]}" "${FOLDER}/none" "${FOLDER}/to"
rm -rf "${FOLDER}"
finish_cases
