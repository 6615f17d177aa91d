#!/usr/bin/env bash
# socat, nc and a Python client talk to the echo server and check what comes back. Nothing is
# installed: clients that are missing are left out, loudly; with IORING_REQUIRE_CLIENTS=1 that is
# a failure.
#
# Usage: external_clients.sh SERVER PYTHON_CLIENT

set -uo pipefail

readonly GIBIBYTE=$((1 << 30))
readonly ENGINES=(mirror managed)
readonly ECHO_SERVER="${1:?names the server}"
readonly PYTHON_CLIENT="${2:?names the Python client}"

directory="$(mktemp -d "${TEST_TMPDIR:-/tmp}/clients.XXXXXX")"
server_pid=""
failures=0
clients=0

finish() {
  [[ -z ${server_pid} ]] || kill -9 "${server_pid}" 2>/dev/null
  rm -rf "${directory}"
}
trap finish EXIT
mkfifo "${directory}/copy"

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# Starts the server; sets host and port.
start_server() {
  local address
  : >"${directory}/output"
  "${ECHO_SERVER}" --listen=127.0.0.1:0 "--engine=$1" >"${directory}/output" 2>&1 &
  server_pid=$!
  # The server's first line ends the wait, and so does its end.
  address="$(timeout 60 tail --pid="${server_pid}" -n +1 -f "${directory}/output" |
    sed -n 's/.*listening on \([^ ,;]*\).*/\1/p;/listening on/q')"
  host="${address%:*}"
  port="${address##*:}"
  if [[ -z ${port} ]]; then
    cat "${directory}/output" >&2
    fail "the server with --engine=$1 does not start"
    return 1
  fi
}

stop_server() {
  kill -TERM "${server_pid}"
  wait "${server_pid}" || fail "the server ended with $?: $(cat "${directory}/output")"
  server_pid=""
}

# Sends $1 random bytes through the command that follows, and compares the sums.
expect_same_sum() {
  local bytes="$1" sent received
  shift
  sha256sum <"${directory}/copy" >"${directory}/sent" &
  received="$(head -c "${bytes}" /dev/urandom | tee "${directory}/copy" |
    timeout 240 "$@" | sha256sum)" || fail "$* ended with an error"
  wait $!
  sent="$(cat "${directory}/sent")"
  [[ ${sent} == "${received}" ]] || fail "${bytes} bytes through $*: sent ${sent}, got ${received}"
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
  expect_same_sum "${GIBIBYTE}" "$@"
  printf '%s: done\n' "${client}" >&2
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

for engine in "${ENGINES[@]}"; do
  start_server "${engine}" || continue
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
