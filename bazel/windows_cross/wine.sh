#!/usr/bin/env bash
# Runs a program for Windows: its path and its arguments are ours, its exit code becomes ours, and nothing of it is left
# afterwards. repository.bzl fills in the name in %{}.
#
# Each run has a Wine of its own: the settings are a copy, as a program may change them, and the drive C: is everybody's.
# So runs beside each other do not meet, and the drive may be one that cannot be written to, as it is in a sandbox.

set -euo pipefail

readonly MADE="%{prefix}"
# Where Wine's programs are. Tests have a PATH of their own, which may lack it.
readonly PROGRAMS="%{programs}"

die() {
  printf 'wine: %s\n' "$*" >&2
  exit 1
}

[[ $# -gt 0 ]] || die "which program is it to be?"
[[ -n ${MADE} ]] || die "there was no Wine when this was set up: install it (wine, wine64), then ./bazelw clean --expunge."
PATH="${PROGRAMS}:${PATH}"
[[ -e ${MADE}/system.reg ]] || die "its prefix is gone from its cache; run bazel/windows_cross/install once."

# Bazel removes its folder even where a test was killed.
folder="$(mktemp -d "${TEST_TMPDIR:-${TMPDIR:-/tmp}}/wine.XXXXXX")"
mkdir "${folder}/temporary" "${folder}/prefix" "${folder}/prefix/dosdevices"
cp "${MADE}"/*.reg "${MADE}/.update-timestamp" "${folder}/prefix/"
ln -s "${MADE}/drive_c" "${folder}/prefix/dosdevices/c:"
ln -s "${TEST_TMPDIR:-${folder}/temporary}" "${folder}/prefix/dosdevices/t:"
ln -s / "${folder}/prefix/dosdevices/z:"

export WINEPREFIX="${folder}/prefix" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe="
unset DISPLAY WAYLAND_DISPLAY
# Names of files are UTF-8 to Wine where they are to the locale.
export LC_ALL=C.UTF-8
# GoogleTest takes a path without a drive for a relative one.
[[ -z ${XML_OUTPUT_FILE:-} ]] || export XML_OUTPUT_FILE="Z:${XML_OUTPUT_FILE}"

program=""
asked_to_stop=""

# Ends whatever the program has left running, and waits until it is gone.
clean_up() {
  trap '' HUP INT TERM
  wineserver -k || true
  wineserver -w || true
  rm -rf "${folder}"
}

# To the program it is Ctrl-C.
ask_to_stop() {
  asked_to_stop=yes
  kill -INT "${program}" 2>/dev/null || true
}

trap clean_up EXIT
trap 'exit 129' HUP
trap ask_to_stop TERM
# The terminal asks the program itself.
trap '' INT

wine "$@" <&0 &
program=$!
status=0
wait "${program}" || status=$?
if [[ -n ${asked_to_stop} ]]; then
  # It may take its time, but not for ever.
  for ((tenths = 0; tenths < 100; ++tenths)); do
    kill -0 "${program}" 2>/dev/null || break
    sleep 0.1
  done
  wineserver -k || true
  status=0
  wait "${program}" || status=$?
fi
exit "${status}"
