#!/usr/bin/env bash
# The table of the techniques is measured from end to end, each copy is compared, bytes that are copied in memory are
# counted, and nothing is left behind. Its times mean nothing here.
#
# Usage: table_test.sh TABLE TECHNIQUES BEST_URING COPY

set -uo pipefail
readonly TABLE="$1" TECHNIQUES="$(realpath "$2")" BEST="$(realpath "$3")" COPY="$(realpath "$4")"
readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/table.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
mkdir "${FOLDER}/data"
readonly SMALL=("${TABLE}" "${FOLDER}/data" --rounds=1 --bytes=1MiB --best="${BEST}" --copy="${COPY}")
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

expect_empty() {
  [[ -z $(ls -A "${FOLDER}/data") ]] || fail "$1 leaves $(ls -A "${FOLDER}/data")"
}

# expect_row CACHE ID COPIED: the row of the technique, and the bytes that it copied in memory.
expect_row() {
  python3 - "${FOLDER}/json" "$@" <<'LOOK' || fail "$1: no row of $2 with $3 bytes copied in memory"
import json, sys
path, cache, row_id, copied = sys.argv[1:]
rows = [row for row in json.load(open(path))["rows"] if (row["cache"], row["id"]) == (cache, row_id)]
sys.exit(len(rows) != 1 or str(rows[0]["copied_bytes"]) != copied or min(rows[0]["wall_seconds"]) <= 0)
LOOK
}

caches=cached
if dd if="${TABLE}" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null &&
  dd if=/dev/zero of="${FOLDER}/probe" oflag=direct bs=4096 count=1 status=none 2>/dev/null; then
  caches=cached,direct
fi
rows=loop,copy_range,cp,dd
has_ring=yes
echo data >"${FOLDER}/probe"
if [[ $("${TECHNIQUES}" "${FOLDER}/probe" "${FOLDER}/copied" 2>&1) == *"io_uring is"* ]]; then
  echo "skipped: there is no io_uring here"
  has_ring=no
else
  rows="${rows},managed_copied,managed,fixed,best,copy"
fi

"${SMALL[@]}" --techniques="${TECHNIQUES}" --caches="${caches}" --rows="${rows}" --json="${FOLDER}/json" >"${FOLDER}/said" 2>&1 ||
  fail "exit code $?: $(<"${FOLDER}/said")"
for cache in ${caches/,/ }; do
  grep -q "^${cache}: " "${FOLDER}/said" || fail "no ${cache}: $(<"${FOLDER}/said")"
  expect_row "${cache}" loop 0
  expect_row "${cache}" dd None
  [[ ${has_ring} == yes ]] || continue
  expect_row "${cache}" managed_copied 1048576
  for row in managed fixed best; do expect_row "${cache}" "${row}" 0; done
  expect_row "${cache}" copy None
done
expect_row cached copy_range 0
expect_row cached cp None
expect_empty "a run"

# A technique that leaves out the end of what it copies is found out.
cat >"${FOLDER}/bad" <<'BAD'
#!/bin/sh
for to in "$@"; do :; done
head -c 1000 from >"${to}"
BAD
chmod +x "${FOLDER}/bad"
"${SMALL[@]}" --techniques="${FOLDER}/bad" --caches=cached --rows=loop >"${FOLDER}/said" 2>&1 && fail "a bad copy is not seen"
grep -q "copies something else" "${FOLDER}/said" || fail "a bad copy: $(<"${FOLDER}/said")"
expect_empty "a bad copy"

# An interrupt, while a program runs that does not end.
printf '#!/bin/sh\necho >"%s/runs"\nexec sleep 100\n' "${FOLDER}" >"${FOLDER}/slow"
chmod +x "${FOLDER}/slow"
"${SMALL[@]}" --techniques="${FOLDER}/slow" --caches=cached --rows=loop >"${FOLDER}/said" 2>&1 &
run=$!
until [[ -e ${FOLDER}/runs ]] || ! kill -0 "${run}" 2>/dev/null; do sleep 0.01; done
kill -TERM "${run}"
wait "${run}" && fail "an interrupt is no success"
grep -q "interrupted" "${FOLDER}/said" || fail "an interrupt: $(<"${FOLDER}/said")"
expect_empty "an interrupt"
exit "$((failures != 0))"
