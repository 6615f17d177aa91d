#!/usr/bin/env bash
# Copies by a process that may have few descriptors: wide trees and deep ones are whole, also those that are deeper than
# the descriptors.
#
# Usage: copy_descriptors_test.sh COPY

set -uo pipefail
readonly COPY="$(realpath "$1")"
readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/copy.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
cd "${FOLDER}" || exit 1
failures=0

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# make_branch PATH LEVELS: directories inside each other, with a file in each.
make_branch() {
  local path="$1" i
  for ((i = 0; i < $2; ++i)); do path+=/d; done
  mkdir -p "${path}"
  for ((i = 0; i < $2; ++i)); do
    printf 'above level %s' "$(($2 - i))" >"${path}/file"
    path="${path%/d}"
  done
}

# copy LIMIT TREE FLAG...: to `to`, with so many descriptors; what it says is in `said`.
copy() {
  local limit="$1" tree="$2"
  shift 2
  rm -rf to
  (ulimit -n "${limit}" && exec timeout 120 "${COPY}" "$@" "${tree}" to) >said 2>&1
}

# whole LIMIT TREE FLAG...: the copy is.
whole() {
  copy "$@" || fail "$*: it ends with $?: $(tail -n 3 said | cut -c1-300)"
  diff -r "$2" to >differences || fail "$*: the copy differs: $(head -n 3 differences | cut -c1-300)"
}

# make_very_deep PATH: 3,000 directories inside each other, with a file in nearly all. No path is as long: they are made from
# inside to outside.
make_very_deep() {
  local inside piece
  inside="$(printf '/d%.0s' {1..500})"
  make_branch "$1" 500
  for piece in 2 3 4 5 6; do
    make_branch outside 500
    mv "$1" "outside${inside}/d"
    mv outside "$1"
  done
}

# diff(1) cannot go down so far, but tar(1) can.
very_deep_is_whole() {
  make_very_deep very_deep
  copy 128 very_deep || fail "3,000 levels: it ends with $?: $(tail -n 3 said | cut -c1-300)"
  tar -c --sort=name -f from.tar -C very_deep . && tar -c --sort=name -f to.tar -C to . && cmp from.tar to.tar ||
    fail "3,000 levels: the copy differs"
  rm -rf very_deep to from.tar to.tar
}

very_deep_is_whole
mkdir wide deep_and_many
for ((i = 0; i < 400; ++i)); do
  mkdir "wide/$i"
  printf '%s' "$i" >"wide/$i/small"
done
for ((i = 0; i < 400; i += 40)); do head -c 100000 /dev/urandom >"wide/$i/large"; done
make_branch deep 100
for ((i = 0; i < 20; ++i)); do
  make_branch "few_levels/$i" 20
  make_branch "levels/$i" 100
done
make_branch deep_and_many/deep 400
# One that is listed in pieces, and closed in between.
wide="deep_and_many/deep$(printf '/d%.0s' {1..300})"
for ((i = 0; i < 300; ++i)); do mkdir -p "${wide}/$i/a/b"; done
mkdir deep_and_many/many
for ((i = 0; i < 2000; ++i)); do printf '%s' "$i" >"deep_and_many/many/$i"; done

for case in "auto 1" "epoll 3"; do
  flags=(--backend="${case% *}" --rings="${case#* }")
  for limit in 64 256; do whole "${limit}" wide "${flags[@]}"; done
  whole 256 deep "${flags[@]}"
  # Branches that go down at the same time take the descriptors of no other one.
  whole 256 few_levels "${flags[@]}"

  # Deeper than what may be open.
  for limit in 64 256; do
    whole "${limit}" deep_and_many "${flags[@]}"
    whole "${limit}" levels "${flags[@]}" --sync --verify
  done
done
exit "$((failures != 0))"
