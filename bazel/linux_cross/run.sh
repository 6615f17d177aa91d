#!/usr/bin/env bash
# Runs a program for Linux on arm64, with its arguments. What is not such a program, as a test that is a script, runs as it
# is. repository.bzl fills in the name in %{}.
#
# A program that runs itself anew, as death tests do, does so by the name that it was given, and the system cannot run it.
# So it is given the name of this script's second one, `again`, which runs the program in EMULATED_PROGRAM.

set -euo pipefail

readonly EMULATOR="%{emulator}"

die() {
  printf 'linux_cross: %s\n' "$*" >&2
  exit 1
}

# Says whether the file "$1" is for arm64: in ELF, the processor's number is in the bytes from 18 on.
is_for_arm64() {
  [[ $(od -An -tx1 -N4 "$1") == " 7f 45 4c 46" && $(od -An -tx1 -j18 -N2 "$1") == " b7 00" ]]
}

if [[ ${0##*/} == again ]]; then set -- "${EMULATED_PROGRAM:?names the program}" "$@"; fi
[[ $# -gt 0 ]] || die "which program is it to be?"
is_for_arm64 "$1" || exec "$@"
[[ -n ${EMULATOR} ]] || die "there was no qemu when this was set up: install it (qemu-user), then ./bazelw clean --expunge."
EMULATED_PROGRAM="$(realpath "$1")"
export EMULATED_PROGRAM
again="$(dirname "$(realpath "${BASH_SOURCE[0]}")")/again"
if [[ ${EMULATOR} == */qemu-* ]]; then
  exec "${EMULATOR}" -0 "${again}" "$@"
fi
exec "${EMULATOR}" "$@"
