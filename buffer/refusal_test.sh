#!/usr/bin/env bash
# A language level that is too old is refused with a sentence, and first, whatever else fails then. The arguments are the
# public headers.
set -u

compiler=""
for name in g++ clang++ c++; do
  [[ -n ${compiler} ]] || compiler="$(command -v "${name}")"
done
[[ -n ${compiler} ]] || { echo "there is no compiler in ${PATH}"; exit 1; }

[[ $# -gt 0 ]] || { echo "names no header"; exit 1; }
failures=0
for header in "$@"; do
  said="$("${compiler}" -x c++ -fsyntax-only -std=c++17 "${header}" 2>&1)"
  if [[ $(grep -m 1 'error' <<<"${said}") != *"needs C++20"* ]]; then
    printf 'FAILED: of %s it says first:\n%s\n' "${header}" "${said}"
    failures=1
  fi
  # Where the language is new enough, it is not what fails: here other headers are missing.
  if "${compiler}" -x c++ -fsyntax-only -std=c++20 "${header}" 2>&1 | grep -q 'needs C++20'; then
    echo "FAILED: ${header} is refused with C++20"
    failures=1
  fi
done
exit "${failures}"
