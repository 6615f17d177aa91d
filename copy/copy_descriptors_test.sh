#!/usr/bin/env bash
# Copies by a process that may have few descriptors: wide trees and deep ones are whole, and what is too deep is told, with
# nothing else missing.
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
mkdir deep_and_many/many
for ((i = 0; i < 2000; ++i)); do printf '%s' "$i" >"deep_and_many/many/$i"; done

# All levels of a deep tree are copied by who may have so many directories open.
hard="$(ulimit -Hn)"
[[ ${hard} == unlimited || ${hard} -ge 4096 ]] || fail "this test needs a hard limit of 4,096 descriptors, not ${hard}"

for case in "auto 1" "epoll 3"; do
  flags=(--backend="${case% *}" --rings="${case#* }")
  for limit in 64 256; do whole "${limit}" wide "${flags[@]}"; done
  whole 256 deep "${flags[@]}"
  # Branches that go down at the same time take the descriptors of no other one.
  whole 256 few_levels "${flags[@]}"
  whole "$(ulimit -Hn)" levels "${flags[@]}"

  # The first level that is too deep is told, once, with the reason, and everything else is copied.
  copy 256 deep_and_many "${flags[@]}"
  [[ $? == 1 ]] || fail "${flags[*]}: a tree that is too deep does not end with 1"
  [[ $(grep -c '^copy: ' said) == 1 ]] || fail "${flags[*]}: it tells $(grep '^copy: ' said | cut -c1-2000 | head -n 3)"
  told="$(sed -n 's/^copy: \(.*\): more directories lie inside each other than can be open at once$/\1/p' said)"
  diff -r deep_and_many to >differences
  [[ $(wc -l <differences) == 1 && $(<differences) == "Only in ${told%/d}: d" ]] || fail "${flags[*]}: besides ${told: -20} there differs $(cut -c1-300 differences)"
  levels="${told//[!\/]/}"
  ((${#levels} > 100)) || fail "${flags[*]}: it goes ${#levels} levels deep"
  # What is missing is copied by who may open more.
  "${COPY}" "${flags[@]}" --resume deep_and_many/. to >said 2>&1 || fail "${flags[*]}: resumed: $(tail -n 1 said)"
  diff -r deep_and_many to >differences || fail "${flags[*]}: resumed, the copy differs: $(head -n 3 differences | cut -c1-300)"
done
exit "$((failures != 0))"
