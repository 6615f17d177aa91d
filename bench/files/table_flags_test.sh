#!/usr/bin/env bash
# Every flag of the table of the techniques does what it says, and refuses what it cannot do. Stand-ins are measured, and
# count how often the kernel is entered.
#
# Usage: table_flags_test.sh FLAG_CASES TABLE

set -uo pipefail
source "$1"
# What is printed waits in a buffer, as it does by itself.
unset PYTHONUNBUFFERED

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
mkdir "${FOLDER}/data"
# The names of the source and the copy come last.
for program in techniques best copy; do
  stand_in "${FOLDER}/${program}" <<END
echo "\$*" >>"${FOLDER}/words"
cp "\${@: -2}"
echo "bytes=4096 copied_bytes=2048 kernel_entries=7"
END
done
stand_in "${FOLDER}/bad" <<<"exit 3"
# Counts nothing, as where it is not allowed; then the other one is asked.
stand_in "${FOLDER}/bin/perf" <<<"exit 255"
stand_in "${FOLDER}/bin/strace" <<'END'
[[ "$1 $2 $3" == "-f -c -o" ]] || exit 1
printf '%s\n' " 90.00    0.000400           4       100           read" " 10.00    0.000118           4        22        12 openat" \
  "100.00    0.000518           4       122        12 total" >"$4"
"${@:5}"
END
# The name of the file that it writes comes last.
stand_in "${FOLDER}/bin/fio" <<'END'
to="${@: -1}"
head -c 4096 /dev/zero >"${to#--filename=}"
END
PATH="${FOLDER}/bin:${PATH}"
readonly RUN=("$2" "${FOLDER}/data" --techniques="${FOLDER}/techniques" --best="${FOLDER}/best" --copy="${FOLDER}/copy"
  --rounds=1 --bytes=4KiB --caches=cached --rows=loop)

# Few runs: each writes everything to the disk before it measures a program.
effect techniques,best,copy,rows,caches,bytes "direct: O_DIRECT, pieces of 1024 KiB" "${RUN[@]}" --caches=direct,cached \
  --rows=fixed,best,copy
for words in "--technique=loop --chunk=65536 --depth=32 from to" "--technique=fixed --chunk=1048576 --depth=8 --direct from to" \
  "--chunk=1048576 --depth=8 --direct from to" "--reflink=never --direct=always from to"; do
  grep -qF -- "${words}" "${FOLDER}/words" || fail "nothing is called with ${words}: $(<"${FOLDER}/words")"
done
[[ ${output} != *"cp --reflink"* ]] || fail "--rows=fixed,best,copy measures others: ${output}"
[[ ${output} =~ READ_FIXED,\ WRITE_FIXED\ +0.50\ +122\  ]] || fail "copies and kernel entries: ${output}"
effect rows,json "fio, io_uring" "${RUN[@]}" --rows=fio --json="${FOLDER}/json"
grep -q '"own_kernel_entries": 7' "${FOLDER}/json" || fail "--json writes $(<"${FOLDER}/json")"
grep -q '"id": "fio"' "${FOLDER}/json" || fail "--json writes $(<"${FOLDER}/json")"
stand_in "${FOLDER}/bin/fio" <<<'to="${@: -1}"; echo short >"${to#--filename=}"'
failure rows "fio, io_uring writes another number of bytes" "${RUN[@]}" --rows=fio

stand_in "${FOLDER}/bin/strace" <<<"exit 1"
effect rounds " 2 rounds;" "${RUN[@]}" --rounds=2
[[ ${output} == *"not counted: how often the kernel is entered"* ]] || fail "nothing counts, and nothing is said: ${output}"

failure rows "--rows: 'magic' is none of loop" "${RUN[@]}" --rows=magic
failure caches "--caches: 'disk' is none of cached, direct" "${RUN[@]}" --caches=disk
failure caches "--caches: '' is none of cached" "${RUN[@]}" --caches=
for count in 0 -1 1.5 10000001 many; do
  failure rounds "'${count}' does not lie between 1 and" "${RUN[@]}" --rounds="${count}"
done
failure bytes "'1MB' is no number of bytes" "${RUN[@]}" --bytes=1MB
failure bytes "is no multiple of 4096" "${RUN[@]}" --bytes=4097
failure bytes "bytes free" "${RUN[@]}" --bytes=100000000GiB
for program in "${FOLDER}/none" "${FOLDER}/data" ""; do
  failure techniques "--techniques=${program} is no program" "${RUN[@]}" --techniques="${program}"
  failure best "--best=${program} is no program" "${RUN[@]}" --best="${program}"
  failure copy "--copy=${program} is no program" "${RUN[@]}" --copy="${program}"
done
failure techniques "--direct from to1 ends with 3" "${RUN[@]}" --techniques="${FOLDER}/bad" --caches=direct

# A file that cannot be written is refused before anything is measured.
failure json "--json=${FOLDER}/none/json cannot be written: No such file" "${RUN[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *" rounds;"* ]] || fail "it was measured for a file that cannot be written: ${output}"
failure json "--json=/dev/full cannot be written: No space left on device" "${RUN[@]}" --json=/dev/full

expect 1 "is no directory" "$2" "${FOLDER}/none"
expect 1 "unrecognized arguments: --round=1" "${RUN[@]}" --round=1
expect 0 "Measures the techniques of copying" "$2" --help

output_failures "${RUN[@]}"
rm -f "${FOLDER}/words"
"${RUN[@]}" >/dev/full 2>&1
[[ ! -e ${FOLDER}/words ]] || fail "it measures what it cannot tell"
[[ -z $(ls -A "${FOLDER}/data") ]] || fail "it leaves $(ls -A "${FOLDER}/data")"
finish_cases
