#!/usr/bin/env bash
# Each technique, and the copy by hand, copies every byte of files of all sizes, and copies in memory what it says and
# nothing else.
#
# Usage: techniques_test.sh TECHNIQUES BEST_URING

set -uo pipefail
readonly TECHNIQUES="$1" BEST_URING="$2"
readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/techniques.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# check FILE COPIED COMMAND...: the copy is the file, and COPIED bytes of it were copied in memory.
check() {
  local file="$1" copied="$2" bytes said
  shift 2
  bytes="$(stat -c %s "${file}")"
  # What is in the copy's place is longer, and something else.
  head -c "$((bytes + 10000))" /dev/zero >"${FOLDER}/to"
  said="$("$@" "${file}" "${FOLDER}/to" 2>&1)" || fail "exit code $?: $* ${file}: ${said}"
  cmp "${file}" "${FOLDER}/to" || fail "$* copies something else than ${file}"
  [[ ${said} == "bytes=${bytes} copied_bytes=${copied} kernel_entries="* ]] ||
    fail "$* of ${bytes} bytes, of which ${copied} are copied in memory, says: ${said}"
}

# check_all FILE FLAG...: by everything.
check_all() {
  local file="$1" bytes technique
  shift
  bytes="$(stat -c %s "${file}")"
  for technique in "${WITHOUT_COPIES[@]}"; do
    check "${file}" 0 "${TECHNIQUES}" --technique="${technique}" "$@"
  done
  [[ ${has_ring} == no ]] || check "${file}" "${bytes}" "${TECHNIQUES}" --technique=managed_copied "$@"
  [[ ${has_ring} == no ]] || check "${file}" 0 "${BEST_URING}" "$@"
}

echo data >"${FOLDER}/first"
has_ring=yes
if [[ $("${TECHNIQUES}" "${FOLDER}/first" "${FOLDER}/to" 2>&1) == *"io_uring is"* ]]; then
  echo "skipped: there is no io_uring here"
  has_ring=no
fi

# Ends of pieces, and fewer and more of them than are on their way at once.
rings=(managed fixed)
[[ ${has_ring} == yes ]] || rings=()
readonly WITHOUT_COPIES=(loop "${rings[@]}")
for bytes in 0 4096 65536 66536 700001 5000000; do
  head -c "${bytes}" /dev/urandom >"${FOLDER}/from"
  check_all "${FOLDER}/from"
  check "${FOLDER}/from" 0 "${TECHNIQUES}" --technique=copy_range
done
head -c 65537 /dev/urandom >"${FOLDER}/from"
for technique in "${WITHOUT_COPIES[@]}"; do check "${FOLDER}/from" 0 "${TECHNIQUES}" --technique="${technique}"; done
head -c 200704 /dev/urandom >"${FOLDER}/from"
check_all "${FOLDER}/from" --chunk=4096 --depth=3
check_all "${FOLDER}/from" --chunk=1048576 --depth=1
# Where the file system of the tests has direct I/O.
if dd if="${FOLDER}/from" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null; then
  check_all "${FOLDER}/from" --direct
  check_all "${FOLDER}/from" --direct --chunk=8192 --depth=5
  check_all "${FOLDER}/from" --direct --chunk=12288 --depth=2
fi

# What cannot be copied is told.
for program in "${TECHNIQUES}" "${BEST_URING}"; do
  "${program}" "${FOLDER}/none" "${FOLDER}/to" 2>"${FOLDER}/said" && fail "${program} copies a file that is not there"
  grep -q "No such file" "${FOLDER}/said" || fail "a file that is not there: $(<"${FOLDER}/said")"
  [[ ${has_ring} == no ]] || { "${program}" "${FOLDER}/from" /dev/full >/dev/null 2>"${FOLDER}/said" && fail "${program} does not see a full disk"; }
  [[ ${has_ring} == no ]] || grep -q "No space left\|no space\|full" "${FOLDER}/said" || fail "a full disk: $(<"${FOLDER}/said")"
done
exit "$((failures != 0))"
