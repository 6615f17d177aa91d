#!/usr/bin/env bash
# socat, nc and a Python client talk to the echo server and check what comes back. Nothing is
# installed: clients that are missing are left out, loudly; with IORING_REQUIRE_CLIENTS=1 that is
# a failure.
#
# Usage: external_clients.sh SERVER PYTHON_CLIENT BACKEND

set -uo pipefail

readonly GIBIBYTE=$((1 << 30))
readonly ENGINES=(mirror managed)
readonly ECHO_SERVER="${1:?names the server}"
readonly PYTHON_CLIENT="${2:?names the Python client}"
readonly BACKEND="${3:?names the backend}"

directory="$(mktemp -d "${TEST_TMPDIR:-/tmp}/clients.XXXXXX")"
server_pid=""
failures=0
clients=0

finish() {
  [[ -z ${server_pid} ]] || kill -9 "${server_pid}" 2>/dev/null
  rm -rf "${directory}"
}
trap finish EXIT
mkfifo "${directory}/output"

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# Starts the server; sets host and port.
start_server() {
  local line address=""
  "${ECHO_SERVER}" --listen=127.0.0.1:0 "--engine=$1" "--backend=${BACKEND}" \
    >"${directory}/output" 2>&1 &
  server_pid=$!
  exec {output}<"${directory}/output"
  while [[ -z ${address} ]] && read -r -t 60 -u "${output}" line; do
    [[ ${line} =~ listening\ on\ ([^ ,;]*) ]] && address="${BASH_REMATCH[1]}"
  done
  host="${address%:*}"
  port="${address##*:}"
  [[ -n ${port} ]] || { fail "the server with --engine=$1 does not start: ${line}"; return 1; }
}

stop_server() {
  kill -TERM "${server_pid}"
  wait "${server_pid}" || fail "the server ended with $?: $(cat <&"${output}")"
  server_pid=""
  exec {output}<&-
}

# Sends the stream through the command that is given, and compares the sums.
expect_same_sum() {
  local received
  received="$(timeout 240 "$@" <"${directory}/stream" | sha256sum)" || fail "$* ended with an error"
  [[ ${sent} == "${received}" ]] || fail "$* brought back other bytes: ${sent}, now ${received}"
}

# Sends a line and the end of the stream, and expects the line and the end.
expect_line() {
  local answer
  answer="$(printf 'hello\n' | timeout 60 "$@")" || fail "$* ended with an error"
  [[ ${answer} == hello ]] || fail "$* answered '${answer}'"
}

try_client() {
  local client="$1"
  shift
  expect_line "$@"
  expect_same_sum "$@"
  printf '%s: done at %d s\n' "${client}" "${SECONDS}" >&2
}

# Says whether there is a program called $1.
have() {
  if command -v "$1" >/dev/null && { [[ $1 != nc ]] || nc -h 2>&1 | grep -q -- '-N'; }; then
    clients=$((clients + 1))
    return 0
  fi
  printf '*** THERE IS NO %s HERE: NOT TESTED WITH IT ***\n' "$1" >&2
  [[ ${IORING_REQUIRE_CLIENTS:-0} == 0 ]] || fail "$1 is missing"
  return 1
}

head -c "${GIBIBYTE}" /dev/urandom >"${directory}/stream" || fail "no gibibyte free for a file"
sent="$(sha256sum <"${directory}/stream")"

for engine in "${ENGINES[@]}"; do
  start_server "${engine}" || break
  printf 'engine %s\n' "${engine}" >&2
  have socat && try_client socat socat -t 240 - "TCP:${host}:${port}"
  have nc && try_client nc nc -N "${host}" "${port}"
  if have python3; then
    timeout 280 python3 "${PYTHON_CLIENT}" "${host}" "${port}" || fail "the Python client"
  fi
  stop_server
done

[[ ${clients} -gt 0 ]] || printf '*** NO CLIENT AT ALL: NOTHING WAS TESTED ***\n' >&2
[[ ${failures} == 0 ]]
