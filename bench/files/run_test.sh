#!/usr/bin/env bash
# The measurement of //copy works from end to end, compares each copy, and leaves nothing behind. Its figures mean nothing here.
#
# Usage: run_test.sh RUN COPY

set -uo pipefail
readonly RUN="$1" COPY="$(realpath "$2")"
readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/files.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
mkdir "${FOLDER}/data"
readonly SMALL=(--rounds=1 --bytes=1MiB --files=60)
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

expect_empty() {
  [[ -z $(ls -A "${FOLDER}/data") ]] || fail "$1 leaves $(ls -A "${FOLDER}/data")"
}

# Without the large file past the cache: not every file system has that.
"${RUN}" "${FOLDER}/data" "${SMALL[@]}" --copy="${COPY}" --shapes=cached,flat,deep,empty,small,thousand --json="${FOLDER}/json" >"${FOLDER}/said" 2>&1 ||
  fail "exit code $?: $(<"${FOLDER}/said")"
for shape in cached flat deep empty small thousand; do
  grep -q "^${shape}: " "${FOLDER}/said" || fail "no ${shape}: $(<"${FOLDER}/said")"
  grep -q "\"${shape}\"" "${FOLDER}/json" || fail "no ${shape} in the file"
done
[[ $(grep -cE '^  cp -r .* [0-9.]+ \([0-9.]+-[0-9.]+\)' "${FOLDER}/said") == 6 ]] || fail "no ratios: $(<"${FOLDER}/said")"
expect_empty "a run"

# A copier that leaves out the end of what it copies is found out.
cat >"${FOLDER}/bad" <<'BAD'
#!/bin/sh
for to in "$@"; do :; done
head -c 1000 from >"${to}"
BAD
chmod +x "${FOLDER}/bad"
"${RUN}" "${FOLDER}/data" "${SMALL[@]}" --copy="${FOLDER}/bad" --shapes=cached >"${FOLDER}/said" 2>&1 && fail "a bad copy is not seen"
grep -q "copies something else" "${FOLDER}/said" || fail "a bad copy: $(<"${FOLDER}/said")"
expect_empty "a bad copy"

# An interrupt, while a copier runs that does not end.
printf '#!/bin/sh\necho >"%s/runs"\nexec sleep 100\n' "${FOLDER}" >"${FOLDER}/slow"
chmod +x "${FOLDER}/slow"
"${RUN}" "${FOLDER}/data" "${SMALL[@]}" --copy="${FOLDER}/slow" --shapes=cached >"${FOLDER}/said" 2>&1 &
run=$!
until [[ -e ${FOLDER}/runs ]] || ! kill -0 "${run}" 2>/dev/null; do sleep 0.01; done
kill -TERM "${run}"
wait "${run}" && fail "an interrupt is no success"
grep -q "interrupted" "${FOLDER}/said" || fail "an interrupt: $(<"${FOLDER}/said")"
expect_empty "an interrupt"

refused() {
  local words="$1"
  shift
  "${RUN}" "$@" >"${FOLDER}/said" 2>&1 && fail "$* is taken"
  grep -q -- "${words}" "${FOLDER}/said" || fail "$* says: $(<"${FOLDER}/said")"
}
refused "is no directory" "${FOLDER}/none" "${SMALL[@]}" --copy="${COPY}"
refused "--shapes" "${FOLDER}/data" "${SMALL[@]}" --copy="${COPY}" --shapes=round
refused "is no program" "${FOLDER}/data" "${SMALL[@]}" --copy="${FOLDER}/none"
refused "--bytes" "${FOLDER}/data" --copy="${COPY}" --bytes=1MB
refused "bytes free" "${FOLDER}/data" --copy="${COPY}" --bytes=100000000GiB
exit "$((failures != 0))"
