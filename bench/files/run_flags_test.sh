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

effect shapes "flat: 3 files in one directory" "${RUN[@]}" --shapes=flat
[[ ${output} != *cached* ]] || fail "--shapes=flat measures others: ${output}"
failure shapes "--shapes: 'round' is none of cached" "${RUN[@]}" --shapes=round
failure shapes "--shapes: '' is none of cached" "${RUN[@]}" --shapes=

effect rounds " 2 rounds;" "${RUN[@]}" --rounds=2
for count in 0 -1 1.5 10000001 many; do
  failure rounds "'${count}' does not lie between 1 and" "${RUN[@]}" --rounds="${count}"
done
effect files "2 files in one directory" "${RUN[@]}" --shapes=flat --files=2
failure files "'0' does not lie between 1 and" "${RUN[@]}" --files=0
failure files "bytes free" "${RUN[@]}" --shapes=flat --rounds=1000000 --files=1000000

effect bytes "one file of 2048 bytes" "${RUN[@]}" --bytes=2KiB
failure bytes "'1MB' is no number of bytes" "${RUN[@]}" --bytes=1MB
failure bytes "'0' is no number of bytes" "${RUN[@]}" --bytes=0
failure bytes "bytes free" "${RUN[@]}" --bytes=100000000GiB

rm -f "${FOLDER}/words"
effect copy,flags "copy " "${RUN[@]}" --flags="--rings=2 '--name=two words'"
grep -qF -- "--rings=2 --name=two words from to" "${FOLDER}/words" || fail "--flags gives $(<"${FOLDER}/words")"
failure copy "--copy=${FOLDER}/none is no program" "${RUN[@]}" --copy="${FOLDER}/none"
failure copy "bad --progress=false from to1 ends with 1" "${RUN[@]}" --copy="${FOLDER}/bad"
failure flags "No closing quotation" "${RUN[@]}" --flags="'"

# A file that cannot be written is refused before anything is measured.
effect json "cached: " "${RUN[@]}" --json="${FOLDER}/json"
grep -q '"cached"' "${FOLDER}/json" || fail "--json writes $(<"${FOLDER}/json")"
failure json "--json=${FOLDER}/none/json cannot be written: No such file" "${RUN[@]}" --json="${FOLDER}/none/json"
[[ ${output} != *"cached: "* ]] || fail "it was measured for a file that cannot be written: ${output}"
echo "what was there before" >"${FOLDER}/json"
failure json "from to1 ends with 1" "${RUN[@]}" --json="${FOLDER}/json" --copy="${FOLDER}/bad"
[[ $(<"${FOLDER}/json") == "what was there before" ]] || fail "--json loses a file before there is another"
effect json "cached: " "${RUN[@]}" --json="${FOLDER}/json"
[[ $(<"${FOLDER}/json") == "{"* ]] || fail "--json keeps what was there before"
failure json "--json=/dev/full cannot be written: No space left on device" "${RUN[@]}" --json=/dev/full

expect 1 "is no directory" "$2" "${FOLDER}/none"
expect 1 "unrecognized arguments: --round=1" "${RUN[@]}" --round=1
expect 1 "the following arguments are required: directory" "$2"
[[ $(wc -l <<<"${output}") == 1 && ${output} != *usage* ]] || fail "more than a sentence: ${output}"
expect 0 "Measures //copy against cp" "$2" --help

output_failures "${RUN[@]}"
[[ -z $(ls -A "${FOLDER}/data") ]] || fail "it leaves $(ls -A "${FOLDER}/data")"
finish_cases
