#!/usr/bin/env bash
# Runs a program for Windows: its path and its arguments are ours, its exit code becomes ours, and nothing of it is left
# afterwards. repository.bzl fills in the name in %{}.
#
# Each run has a Wine of its own: the settings are a copy, as a program may change them, and the drive C: is everybody's.
# So runs beside each other do not meet, and the drive may be one that cannot be written to, as it is in a sandbox.

set -euo pipefail

readonly MADE="%{prefix}"

die() {
  printf 'wine: %s\n' "$*" >&2
  exit 1
}

[[ $# -gt 0 ]] || die "which program is it to be?"
[[ -e ${MADE}/system.reg ]] || die "its prefix is gone from its cache; run bazel/windows_cross/install once."

folder="$(mktemp -d)"
mkdir "${folder}/temporary" "${folder}/prefix" "${folder}/prefix/dosdevices"
cp "${MADE}"/*.reg "${MADE}/.update-timestamp" "${folder}/prefix/"
ln -s "${MADE}/drive_c" "${folder}/prefix/dosdevices/c:"
ln -s "${TEST_TMPDIR:-${folder}/temporary}" "${folder}/prefix/dosdevices/t:"
ln -s / "${folder}/prefix/dosdevices/z:"

export WINEPREFIX="${folder}/prefix" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe="
unset DISPLAY WAYLAND_DISPLAY
# GoogleTest takes a path without a drive for a relative one.
[[ -z ${XML_OUTPUT_FILE:-} ]] || export XML_OUTPUT_FILE="Z:${XML_OUTPUT_FILE}"

# Ends whatever the program has left running, and waits until it is gone.
clean_up() {
  trap '' HUP INT TERM
  wineserver -k || true
  wineserver -w || true
  rm -rf "${folder}"
}
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 129' HUP
# A program that is interrupted says itself when it is done.
trap '' INT

wine "$@" <&0 &
status=0
wait $! || status=$?
exit "${status}"
