# Cases of programs' flags, for the tests called ..._flags_test.sh, which source this. Every flag has a case of its effect
# and a case of its failure; bazel/check_sources walks the flags of the sources, and looks for both.
#
#   effect FLAG WORDS COMMAND...      It ends with 0, and says the words on one of its outputs.
#   failure FLAG WORDS COMMAND...     It ends with 1, and says the words.
#   any_value FLAG REASON             There is no value of it to refuse; the reason is a sentence, which the walk asks for, too.
#   output_failures COMMAND...        It ends with 1 where its standard output is closed, and where nothing fits on it.
#   no_output REASON                  It prints nothing on standard output that could be lost.
#
# FLAG may be several, separated by commas. Each must be among the words of the command. What was
# said is in ${output} afterwards. At the end: finish_cases.
#
# Scripts call other programs, of which some take minutes, a network or root. Their tests have stand-ins for these:
#
#   copy_tree FOLDER FILE...          Copies the script and what it needs into a folder that is like this repository.
#   stand_in PROGRAM <<'END'          Makes the program, a script in Bash, which the lines that follow are.

failures=0
output=

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# Fails unless the flags "$1" are among the words "$2"...: --flag, --flag=value or --noflag.
check_named() {
  local flag
  for flag in ${1//,/ }; do
    is_among "${flag}" "${@:2}" || fail "a case of --${flag} does not use it: ${*:2}"
  done
}

is_among() {
  local flag="$1" word
  shift
  for word in "$@"; do
    [[ ${word} == "--${flag}" || ${word} == "--${flag}="* || ${word} == "--no${flag}" ]] && return 0
  done
  return 1
}

# Runs the command, and expects the exit code "$1" and the words "$2".
expect() {
  local code="$1" words="$2" status
  shift 2
  output="$("$@" 2>&1)"
  status=$?
  [[ ${status} == "${code}" ]] || fail "exit code ${status} instead of ${code}: $*: ${output}"
  [[ ${output} == *"${words}"* ]] || fail "no '${words}' from $*: ${output}"
}

effect() {
  local flag="$1" words="$2"
  shift 2
  check_named "${flag}" "$@"
  expect 0 "${words}" "$@"
}

failure() {
  local flag="$1" words="$2"
  shift 2
  check_named "${flag}" "$@"
  expect 1 "${words}" "$@"
}

# A word is no reason.
any_value() {
  [[ $# == 2 && $2 == *\ *\ * ]] || fail "any_value says no reason why --${1:-} takes every value"
}

no_output() {
  [[ $# == 1 && $1 == *\ *\ * ]] || fail "no_output says no reason"
}

copy_tree() {
  local folder="$1" file
  for file in "${@:2}"; do
    mkdir -p "${folder}/$(dirname "${file}")"
    cp -L "${file}" "${folder}/${file}"
  done
}

stand_in() {
  mkdir -p "$(dirname "$1")"
  { echo '#!/usr/bin/env bash' && cat; } >"$1"
  chmod +x "$1"
}

# Runs the command with standard output closed.
closed() { "$@" >&-; }

output_failures() {
  local status said
  said="$("$@" 2>&1 >&-)"
  status=$?
  [[ ${status} == 1 && ${said} == *"standard output"* ]] || fail "exit code ${status} with standard output closed: $*: ${said}"
  said="$("$@" 2>&1 >/dev/full)"
  status=$?
  [[ ${status} == 1 && ${said} == *"standard output"* ]] || fail "exit code ${status} with standard output full: $*: ${said}"
}

finish_cases() {
  [[ ${failures} == 0 ]] || exit 1
  exit 0
}

# ---- Limits of the command.

# limited LIMIT VALUE COMMAND...: with this limit (ulimit).
limited() (
  ulimit "$1" "$2" && "${@:3}"
)

# Memory for one thread besides the first one: each gets a stack of a gibibyte.
with_two_threads() { limited -v 1900000 limited -s 1048576 "$@"; }
# Not where the program alone has more memory, as with a sanitizer.
can_limit_threads() { with_two_threads "$1" --version >/dev/null 2>&1; }

# ---- A server beside the command.

server_pid=
address=
server_log="${TEST_TMPDIR:-/tmp}/server.$$"

# Starts a server; sets ${address} and ${server_pid}.
start_server() { try_server "$@" || fail "it does not listen: $*: $(<"${server_log}")"; }

# The same, and whether it listens.
try_server() {
  : >"${server_log}"
  "$@" >"${server_log}" 2>&1 &
  server_pid=$!
  address=
  until [[ -n ${address} ]]; do
    kill -0 "${server_pid}" 2>/dev/null || break
    address="$(sed -n 's/^listening on \([^;]*\).*/\1/p' "${server_log}")"
    sleep 0.02
  done
  [[ -n ${address} ]]
}

# Ends it; expects 0, and what it said is in ${output}.
stop_server() {
  kill -TERM "${server_pid}" 2>/dev/null
  wait "${server_pid}" || fail "the server ended with $?: $(<"${server_log}")"
  output="$(<"${server_log}")"
  server_pid=
}

# shellcheck disable=SC2154
trap '[[ -z ${server_pid} ]] || kill -KILL "${server_pid}" 2>/dev/null; rm -f "${server_log}"' EXIT

# effect_of_server FLAG WORDS SERVER... -- COMMAND...: both end with 0, and the server says the words.
effect_of_server() {
  local flag="$1" words="$2" server=()
  shift 2
  while [[ $1 != -- ]]; do
    server+=("$1")
    shift
  done
  shift
  check_named "${flag}" "${server[@]}"
  start_server "${server[@]}"
  expect 0 "" "$@"
  stop_server
  [[ ${output} == *"${words}"* ]] || fail "no '${words}' from ${server[*]}: ${output}"
}

# number NAME: the number so called in the JSON of ${output}.
number() {
  sed -n 's/.*"'"$1"'": *\([0-9.]*\).*/\1/p' <<<"${output}" | tail -n 1
}

# at_least A B: whether A is not smaller.
at_least() {
  awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && a + 0 >= b + 0) }'
}
