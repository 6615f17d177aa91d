#!/usr/bin/env bash
# Every flag of the techniques, and of the copy by hand, does what it says, and refuses what it cannot do.
#
# Usage: flags_test.sh FLAG_CASES TECHNIQUES BEST_URING

set -uo pipefail
source "$1"

readonly TECHNIQUES="$2" BEST_URING="$3"
readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
head -c 40960 /dev/urandom >"${FOLDER}/from"
readonly LOOP=("${TECHNIQUES}" --technique=loop) PATHS=("${FOLDER}/from" "${FOLDER}/to")

effect technique "copied_bytes=0 kernel_entries=2" "${LOOP[@]}" "${PATHS[@]}"
effect technique "copied_bytes=0 kernel_entries=1" "${TECHNIQUES}" --technique=copy_range "${PATHS[@]}"
failure technique "\"magic\" is none of loop, copy_range," "${TECHNIQUES}" --technique=magic "${PATHS[@]}"
failure technique "is none of" "${TECHNIQUES}" --technique= "${PATHS[@]}"
effect chunk "kernel_entries=20" "${LOOP[@]}" --chunk=4096 "${PATHS[@]}"
effect chunk "kernel_entries=2" "${LOOP[@]}" --chunk=0 "${PATHS[@]}"
for chunk in 4095 100000000 -4096 many; do failure chunk "chunk" "${LOOP[@]}" --chunk="${chunk}" "${PATHS[@]}"; done
failure depth "--depth is at most 1024" "${LOOP[@]}" --depth=1025 "${PATHS[@]}"
failure depth "depth" "${LOOP[@]}" --depth=-1 "${PATHS[@]}"
failure direct "direct" "${LOOP[@]}" --direct=perhaps "${PATHS[@]}"
failure direct,technique "the kernel copies a range through the page cache" "${TECHNIQUES}" --technique=copy_range --direct \
  "${PATHS[@]}"
expect 1 "it takes two files" "${LOOP[@]}" "${FOLDER}/from"
expect 1 "is no regular file" "${LOOP[@]}" "${FOLDER}" "${FOLDER}/to"
output_failures "${LOOP[@]}" "${PATHS[@]}"

failure chunk "--chunk: it takes a multiple of 4096" "${BEST_URING}" --chunk=4095 "${PATHS[@]}"
failure chunk "--chunk=0: it takes a number" "${BEST_URING}" --chunk=0 "${PATHS[@]}"
failure depth "--depth=1025: it takes a number" "${BEST_URING}" --depth=1025 "${PATHS[@]}"
failure direct "--direct=2: it takes a number" "${BEST_URING}" --direct=2 "${PATHS[@]}"
expect 1 "usage: best_uring" "${BEST_URING}"
expect 1 "usage: best_uring" "${BEST_URING}" --no_such_flag "${PATHS[@]}"

# An odd end tells whether the disk is asked for whole blocks.
printf odd >>"${FOLDER}/from"
if dd if="${FOLDER}/from" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null; then
  failure direct "direct I/O copies whole blocks" "${LOOP[@]}" --direct "${PATHS[@]}"
  failure direct "direct I/O copies whole blocks" "${BEST_URING}" --direct "${PATHS[@]}"
  truncate -s 40960 "${FOLDER}/from"
  effect direct "bytes=40960 copied_bytes=0" "${LOOP[@]}" --direct "${PATHS[@]}"
fi

[[ $("${TECHNIQUES}" "${PATHS[@]}" 2>&1) != *"io_uring is"* ]] || { echo "skipped: there is no io_uring here"; finish_cases; }
head -c 40960 /dev/urandom >"${FOLDER}/from"
# One piece at a time, and each takes an entry for its read and one for its write at least.
effect depth,chunk "bytes=40960" "${TECHNIQUES}" --depth=1 --chunk=4096 "${PATHS[@]}"
at_least "${output##*kernel_entries=}" 20 || fail "--depth=1: ${output}"
effect depth,chunk "bytes=40960" "${BEST_URING}" --depth=1 --chunk=4096 "${PATHS[@]}"
at_least "${output##*kernel_entries=}" 20 || fail "--depth=1: ${output}"
effect chunk,depth "bytes=40960" "${BEST_URING}" --depth=4 --chunk=8192 "${PATHS[@]}"
if dd if="${FOLDER}/from" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null; then
  effect direct "bytes=40960" "${BEST_URING}" --direct "${PATHS[@]}"
fi
output_failures "${BEST_URING}" "${PATHS[@]}"
rm -r "${FOLDER}"
finish_cases
