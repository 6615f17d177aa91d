#!/usr/bin/env bash
# Every flag of bench/report.sh does what it says, and refuses what it cannot do. A stand-in plays the programs that measure
# and the one that writes the report, which report_test runs.
#
# Usage: report_flags_test.sh FLAG_CASES REPORT

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
export CALLS="${FOLDER}/calls"
unset BUILD_WORKING_DIRECTORY
# It says how it was called, writes where it is told to, and refuses --shapes=none, as the reporter refuses loads.
for name in reporter pool_benchmark peers per_message virtual_call idle_connections server load; do
  stand_in "${FOLDER}/${name}" <<'END'
echo "${0##*/} $*" >>"${CALLS}"
[[ $* != *--shapes=none* ]] || exit 1
for word in "$@"; do
  case "${word}" in
    --json=*) echo '{}' >"${word#*=}" ;;
    --benchmark_out=*) echo '{"benchmarks": []}' >"${word#*=}" ;;
  esac
done
[[ $0 != */peers ]] || echo "asio=${0%/*}/server"
# A promise that is not kept.
[[ $0 != */virtual_call || $* == *--part_max=inf* ]] || exit 2
END
done
readonly RUN=("$2" --reporter="${FOLDER}/reporter" --load="${FOLDER}/load" --server="${FOLDER}/server"
  --peers="${FOLDER}/peers" --benchmark="${FOLDER}/pool_benchmark" --counter="${FOLDER}/per_message"
  --counter="${FOLDER}/virtual_call" --counter="${FOLDER}/idle_connections" "managed=a server" --typed --form=smoke
  --out="${FOLDER}/out")

# called WORDS...: that something was called so.
called() { grep -qF -- "$*" "${CALLS}" || fail "not called: $*: $(<"${CALLS}")"; }
not_called() { ! grep -qF -- "$*" "${CALLS}" || fail "called: $*: $(<"${CALLS}")"; }

: >"${CALLS}"
effect reporter,load,server,peers,benchmark,counter,typed,out "${FOLDER}/out/report.html" "${RUN[@]}"
called "reporter --check --form=smoke --out=${FOLDER}/out --load=${FOLDER}/load managed=a server"
called "pool_benchmark --benchmark_min_time=0.001s"
called "per_message --json="
called "virtual_call --json="
called "--server=${FOLDER}/server --load=${FOLDER}/load"
called "idle_connections --json="
called "asio=${FOLDER}/server"
called "--command=./bazelw run //bench:report -- --form=smoke --out=${FOLDER}/out "
any_value typed "it takes no value, and only divides what Bazel says from what a person does"

: >"${CALLS}"
effect form "report.html" "${RUN[@]}" --form=full
called "pool_benchmark --benchmark_min_time=0.2s"
called "reporter --form=full"
failure form "--form=fast is none of smoke, quick and full" "${RUN[@]}" --form=fast

(cd "${FOLDER}" && expect 0 "${FOLDER}/here/report.html" "$(realpath "${OLDPWD}/$2")" "${RUN[@]:1}" --out=here && [[ ${failures} == 0 ]]) ||
  fail "a relative --out"
for folder in /dev/null/report /proc/report; do failure out "--out=${folder} cannot be written" "${RUN[@]}" --out="${folder}"; done

: >"${CALLS}"
effect peers,components "report.html" "${RUN[@]}" --peers=no --components=no
for word in peers asio pool_benchmark per_message; do not_called "${word} "; done
failure components "--components=maybe is neither yes nor no" "${RUN[@]}" --components=maybe
effect components "report.html" "${RUN[@]}" --components=yes

: >"${CALLS}"
echo '{}' >"${FOLDER}/figures"
effect files "report.html" "${RUN[@]}" --peers=no --components=no --files="${FOLDER}/figures"
called "reporter --check --form=smoke --out=${FOLDER}/out --load=${FOLDER}/load --files=${FOLDER}/figures"

# What is missing is told before anything is measured.
: >"${CALLS}"
failure files "--files=${FOLDER}/none cannot be read" "${RUN[@]}" --files="${FOLDER}/none"
failure reporter "--reporter=${FOLDER}/none is no program" "${RUN[@]}" --reporter="${FOLDER}/none"
failure benchmark "--benchmark=${FOLDER}/none is no program" "${RUN[@]}" --benchmark="${FOLDER}/none"
failure counter "--counter=${FOLDER}/none is no program" "${RUN[@]}" --counter="${FOLDER}/none"
failure server "--server=${FOLDER}/none is no program" "${RUN[@]}" --server="${FOLDER}/none"
failure peers "--peers=${FOLDER}/none is no program" "${RUN[@]}" --peers="${FOLDER}/none"
failure counter "there are 4 in place of" "${RUN[@]}" --counter="${FOLDER}/per_message"
[[ ! -s ${CALLS} ]] || fail "something was run: $(<"${CALLS}")"
expect 1 "" "${RUN[@]}" --shapes=none
not_called "pool_benchmark"
output_failures "${RUN[@]}"
: >"${CALLS}"
expect 1 "standard output is closed" closed "${RUN[@]}"
[[ ! -s ${CALLS} ]] || fail "it was measured for an output that is closed: $(<"${CALLS}")"

# The reporter looks at --load.
stand_in "${FOLDER}/reporter" <<<'[[ $* == *--load=/* ]] || { echo "--load is missing" >&2; exit 1; }'
failure load "--load is missing" "${RUN[@]}" --load=
finish_cases
