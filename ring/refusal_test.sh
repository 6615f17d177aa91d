#!/usr/bin/env bash
# What ioring cannot be built for is refused with a sentence, and first, whatever else fails then. The argument is the
# header that refuses. The host's compiler reads it as if it compiled for that.
set -u
readonly HEADER="${1:?names the header}"

compiler=""
for name in g++ clang++ c++; do
  [[ -n ${compiler} ]] || compiler="$(command -v "${name}")"
done
[[ -n ${compiler} ]] || { echo "there is no compiler in ${PATH}"; exit 1; }

failures=0
compile() {
  "${compiler}" -x c++ -fsyntax-only "$@" "${HEADER}" 2>&1
}

# Expects the sentence "$1" when the header is compiled with the options that follow.
expect_refusal() {
  local sentence="$1" said
  shift
  if said="$(compile "$@")"; then
    echo "FAILED: $* is not refused"
    failures=1
  elif [[ $(grep -m 1 'error' <<<"${said}") != *"${sentence}"* ]]; then
    printf 'FAILED: of %s it says first:\n%s\n' "$*" "${said}"
    failures=1
  fi
}

expect_refusal "needs C++20" -std=c++17
expect_refusal "64-bit systems only" -std=c++20 -U__SIZEOF_POINTER__ -D__SIZEOF_POINTER__=4
expect_refusal "64-bit systems only" -std=c++20 -U__SIZEOF_POINTER__ -D_M_IX86
compile -std=c++20 || failures=1
exit "${failures}"
