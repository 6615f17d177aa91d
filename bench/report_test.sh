#!/usr/bin/env bash
# A report works from end to end: three files, whose figures are the same. The figures mean nothing here.
#
# Usage: report_test.sh REPORT.SH ARGUMENTS OF IT...

set -uo pipefail

readonly REPORT="$1"
shift
readonly OUT="${TEST_TMPDIR:-/tmp}/report"

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

"${REPORT}" --peers=no "$@" --form=smoke "--out=${OUT}" || fail "exit code $?"

for server in managed epoll_level; do
  grep -q "\"server\":\"${server}\"" "${OUT}/report.json" || fail "no ${server} in report.json"
  grep -q "^| ${server} | [1-9]" "${OUT}/report.md" || fail "no figures of ${server} in report.md"
done
grep -q '"what":"managed / epoll_level, p50"' "${OUT}/report.json" || fail "no targets in report.json"
grep -q '"name":"slab_pool_benchmark"' "${OUT}/report.json" || fail "no component in report.json"

# The page has the JSON in it, but for what would be elements, and nothing that it would have to fetch.
while IFS= read -r line; do
  grep -qF -- "${line//</\\u003c}" "${OUT}/report.html" || fail "not in the page: ${line}"
done <"${OUT}/report.json"
grep -qE '<(script|link|img)[^>]* (src|href)=' "${OUT}/report.html" && fail "the page fetches something"

"${REPORT}" --peers=no --components=no "$@" --form=fast "--out=${OUT}" 2>/dev/null && fail "there is no form fast"
refused="$("${REPORT}" --peers=no "$@" --form=smoke --shapes=7x7 "--out=${OUT}" 2>&1)" && fail "there is no such load"
[[ ${refused} == *_benchmark* ]] && fail "components were measured before the loads were looked at"
for folder in /dev/null/report /proc/report; do
  refused="$("${REPORT}" --peers=no "$@" --form=smoke "--out=${folder}" 2>&1)" && fail "nothing can be written to ${folder}"
  [[ ${refused} == *"${folder%/*}"* && ${refused} != *_benchmark* ]] || fail "components were measured for ${folder}: ${refused}"
done
"${REPORT}" --peers=no "$@" --form=smoke --components=maybe "--out=${OUT}" 2>/dev/null && fail "--components=maybe"
"${REPORT}" --peers=no --components=no "$@" --form=smoke "--out=${OUT}" broken=/bin/false 2>/dev/null &&
  fail "a server that does not start was passed over"
exit 0
