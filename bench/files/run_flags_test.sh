#!/usr/bin/env bash
# Every flag of the measurement of //copy does what it says, and refuses what it cannot do. A stand-in is measured.
#
# Usage: run_flags_test.sh FLAG_CASES RUN

set -uo pipefail
source "$1"
# What is printed waits in a buffer, as it does by itself.
unset PYTHONUNBUFFERED

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
mkdir "${FOLDER}/data"
# The names of the source and the copy come last.
stand_in "${FOLDER}/copier" <<END
echo "\$*" >>"${FOLDER}/words"
exec cp -r "\${@: -2}"
END
stand_in "${FOLDER}/bad" <<<"exit 1"
readonly RUN=("$2" "${FOLDER}/data" --copy="${FOLDER}/copier" --rounds=1 --bytes=4KiB --files=3 --shapes=cached)

# Few runs: each writes everything to the disk before it measures a program.
effect shapes,files "flat: 2 files in one directory" "${RUN[@]}" --shapes=flat --files=2
[[ ${output} != *cached* ]] || fail "--shapes=flat measures others: ${output}"
failure shapes "--shapes: 'round' is none of cached" "${RUN[@]}" --shapes=round
failure shapes "--shapes: '' is none of cached" "${RUN[@]}" --shapes=
for count in 0 -1 1.5 10000001 many; do
  failure rounds "'${count}' does not lie between 1 and" "${RUN[@]}" --rounds="${count}"
done
failure files "'0' does not lie between 1 and" "${RUN[@]}" --files=0
failure files "bytes free" "${RUN[@]}" --shapes=flat --rounds=1000000 --files=1000000

rm -f "${FOLDER}/words"
effect bytes,copy,flags,json "one file of 2048 bytes" "${RUN[@]}" --bytes=2KiB --flags="--rings=2 '--name=two words'" \
  --json="${FOLDER}/json"
grep -qF -- "--rings=2 --name=two words from to" "${FOLDER}/words" || fail "--flags gives $(<"${FOLDER}/words")"
grep -q '"cached"' "${FOLDER}/json" || fail "--json writes $(<"${FOLDER}/json")"
failure bytes "'1MB' is no number of bytes" "${RUN[@]}" --bytes=1MB
failure bytes "'0' is no number of bytes" "${RUN[@]}" --bytes=0
failure bytes "bytes free" "${RUN[@]}" --bytes=100000000GiB
for program in "${FOLDER}/none" "${FOLDER}/data" ""; do
  failure copy "--copy=${program} is no program" "${RUN[@]}" --copy="${program}"
done
failure flags "No closing quotation" "${RUN[@]}" --flags="'"

# A file that cannot be written is refused before anything is measured, and keeps what is in it until there is another.
failure json "--json=${FOLDER}/none/json cannot be written: No such file" "${RUN[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *" rounds;"* ]] || fail "it was measured for a file that cannot be written: ${output}"
echo "what was there before" >"${FOLDER}/json"
failure json,copy "bad --progress=false from to1 ends with 1" "${RUN[@]}" --json="${FOLDER}/json" --copy="${FOLDER}/bad"
[[ $(<"${FOLDER}/json") == "what was there before" ]] || fail "--json loses a file before there is another"
effect rounds,json " 2 rounds;" "${RUN[@]}" --rounds=2 --json="${FOLDER}/json"
[[ $(<"${FOLDER}/json") == "{"* ]] || fail "--json keeps what was there before"
failure json "--json=/dev/full cannot be written: No space left on device" "${RUN[@]}" --json=/dev/full

expect 1 "is no directory" "$2" "${FOLDER}/none"
expect 1 "unrecognized arguments: --round=1" "${RUN[@]}" --round=1
expect 1 "the following arguments are required: directory" "$2"
[[ $(wc -l <<<"${output}") == 1 && ${output} != *usage* ]] || fail "more than a sentence: ${output}"
expect 0 "Measures //copy against cp" "$2" --help

output_failures "${RUN[@]}"
rm -f "${FOLDER}/words"
"${RUN[@]}" >/dev/full 2>&1
[[ ! -e ${FOLDER}/words ]] || fail "it measures what it cannot tell"
[[ -z $(ls -A "${FOLDER}/data") ]] || fail "it leaves $(ls -A "${FOLDER}/data")"
finish_cases
