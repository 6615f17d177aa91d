#!/usr/bin/env bash
# Looks at one source with clang-tidy, for tidy.bzl: run_tidy.sh MARK SOURCE COMPILER_FLAG...
set -euo pipefail
mark="$1"
source="$2"
shift 2
if ! clang-tidy-14 --quiet "${source}" -- "$@" >"${mark}" 2>"${mark}.log"; then
  cat "${mark}" "${mark}.log"
  exit 1
fi
