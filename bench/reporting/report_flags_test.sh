#!/usr/bin/env bash
# Every flag of the report does what it says, and refuses what it cannot do, before it measures.
#
# Usage: report_flags_test.sh FLAG_CASES REPORTER LOAD EPOLL_LEVEL FRAME SCRIPT CHARTS

set -uo pipefail
source "$1"

readonly FOLDER="${TEST_TMPDIR:-$(mktemp -d)}" LOAD="$3" FRAME="$5" SCRIPT="$6" CHARTS="$7"
readonly OUT="${FOLDER}/out" COMPONENTS="${FOLDER}/components"
mkdir -p "${OUT}" "${COMPONENTS}"
echo "the text of a component" >"${COMPONENTS}/part.txt"
echo '{"benchmarks": []}' >"${COMPONENTS}/part.json"

# Files that are good, and a report that measures nothing.
readonly CHECK=("$2" --check --form=smoke --out="${OUT}" --load="${LOAD}" --frame="${FRAME}" --script="${SCRIPT}"
  --charts="${CHARTS}" "epoll=$4")

effect check "" "${CHECK[@]}" --check
failure check "check" "${CHECK[@]}" --check=perhaps
for form in quick matrix full smoke; do
  effect form "" "${CHECK[@]}" --form="${form}"
done
failure form "fast" "${CHECK[@]}" --form=fast
failure shapes "7x7" "${CHECK[@]}" --shapes=7x7
failure shapes "many" "${CHECK[@]}" --shapes=many

failure out "--out=${FOLDER}/none/report.json cannot be written" "${CHECK[@]}" --out="${FOLDER}/none"
failure out "--out is missing" "${CHECK[@]}" --out=
failure load "--load=${FOLDER}/none is no program" "${CHECK[@]}" --load="${FOLDER}/none"
failure frame "--frame: ${FOLDER}/none cannot be read" "${CHECK[@]}" --frame="${FOLDER}/none"
failure frame "the page has no place" "${CHECK[@]}" --frame="${SCRIPT}"
failure script "--script: ${FOLDER}/none cannot be read" "${CHECK[@]}" --script="${FOLDER}/none"
failure charts "--charts: ${FOLDER}/none cannot be read" "${CHECK[@]}" --charts="${FOLDER}/none"
failure components "--components=${FOLDER}/none" "${CHECK[@]}" --check=false --components="${FOLDER}/none"
mkdir "${FOLDER}/broken"
echo "the text of a component" >"${FOLDER}/broken/part.txt"
printf '{"benchmarks":\n]}' >"${FOLDER}/broken/part.json"
failure components "${FOLDER}/broken/part.json, line 2: expected a value, found ']'" "${CHECK[@]}" --check=false \
  --components="${FOLDER}/broken"
readonly FIGURES='"bytes":1048576,"copied_bytes":null,"kernel_entries":null,"wall_seconds":[1],"cpu_seconds":[1]'
echo '{"rows":[{"title":"this technique","cache":"cached",'"${FIGURES}"',"wall_ratios":[1],"cpu_ratios":[1]}]}' >"${FOLDER}/copies"
echo '{"rows":[{"title":"this technique"}]}' >"${FOLDER}/no_copies"
failure files "--files: ${FOLDER}/none cannot be read" "${CHECK[@]}" --files="${FOLDER}/none"
failure files "--files=${FOLDER}/no_copies: row 1 of bench/files/table: \"bytes\" is missing" "${CHECK[@]}" \
  --files="${FOLDER}/no_copies"
any_value command "it is text for the report"
any_value notes "it is text for the report"

# One load, measured for a moment, with files that can be told from others.
{ cat "${FRAME}"; echo "<!-- this frame -->"; } >"${FOLDER}/frame"
{ cat "${SCRIPT}"; echo "// this script"; } >"${FOLDER}/script"
{ cat "${CHARTS}"; echo "// these charts"; } >"${FOLDER}/charts"
effect out,shapes,load,frame,script,charts,components,files,command,notes "load 1 of 1: 1 connections, 64 B" \
  "${CHECK[@]}" --check=false --out="${OUT}" --shapes=1x64 --load="${LOAD}" --frame="${FOLDER}/frame" \
  --script="${FOLDER}/script" --charts="${FOLDER}/charts" --components="${COMPONENTS}" --files="${FOLDER}/copies" --command="what was typed" \
  --notes="one sentence,another sentence"
for file in report.json report.html report.md; do
  for words in "what was typed" "another sentence" "part" "this technique"; do
    grep -qF -- "${words}" "${OUT}/${file}" || fail "no '${words}' in ${file}"
  done
done
for words in "this frame" "this script" "these charts"; do
  grep -qF -- "${words}" "${OUT}/report.html" || fail "no '${words}' in the page"
done

# A server that is measured, and does not start when its kernel entries are to be counted: a failure, with or without the
# rights to count.
stand_in "${FOLDER}/once" <<END
[[ ! -e ${FOLDER}/measured ]] || { echo "no port is free"; exit 1; }
exec "$4"
END
stand_in "${FOLDER}/load" <<END
touch "${FOLDER}/measured"
exec "${LOAD}" "\$@"
END
expect 1 "once, counting kernel entries: the server ended: no port is free" "${CHECK[@]:0:${#CHECK[@]}-1}" --check=false \
  --shapes=1x64 --load="${FOLDER}/load" once="${FOLDER}/once"

# Where there is no room for the report.
ln -sf /dev/full "${OUT}/report.md"
failure out "report.md cannot be written: No space left on device" "${CHECK[@]}" --check=false --out="${OUT}" --shapes=1x64
finish_cases
