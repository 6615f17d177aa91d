#!/usr/bin/env bash
# Each argument is a file that lists what a layer uses and must not; all are to be empty.
set -u
status=0
for file in "$@"; do
  if [[ -s ${file} ]]; then
    echo "${file##*/} should be empty (docs/architecture.md says which arrows are allowed), but lists:"
    cat "${file}"
    status=1
  fi
done
exit "${status}"
