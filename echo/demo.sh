#!/usr/bin/env bash
# Measures the echo server with the load generator, both on this machine: its two engines in turn,
# over a few shapes of traffic, with every byte verified. Prints a table, ends by itself within 20
# seconds, and leaves nothing running. Exit code 0 only if all went well.
#
#   ./bazelw run //echo:demo
set -u -o pipefail

readonly limit_s=20
readonly engines=(mirror managed)
# Connections, and bytes of a message.
readonly shapes=("50 64" "50 4096" "50 16384" "1 64")
readonly engine_count=${#engines[@]}

if (($# != 2)); then
  echo "usage: demo.sh SERVER LOAD (or: bazel run //echo:demo)" >&2
  exit 2
fi
readonly server=$1 load=$2

work=$(mktemp -d) || exit 1
server_pids=()
ports=()
load_pid=
watchdog_pid=

fail() {
  echo "demo: $*" >&2
  exit 1
}

lose_output() { fail "the table cannot be written to standard output"; }

# Runs however the demo ends. What still runs by now has failed or hangs.
clean_up() {
  local code=$?
  trap - EXIT
  kill -TERM $watchdog_pid 2>/dev/null
  kill -KILL $load_pid ${server_pids[@]+"${server_pids[@]}"} 2>/dev/null
  wait 2>/dev/null
  rm -rf "$work"
  exit "$code"
}

start_watchdog() {
  (
    trap 'kill "$!"; exit' TERM
    sleep $((limit_s - 1)) &
    wait "$!"
    echo "demo: it did not end within $limit_s seconds" >&2
    kill -TERM $$
  ) &
  watchdog_pid=$!
}

# Starts a server and notes its process and port.
start_server() {
  local engine=$1 log=$work/$1.log tries
  : >"$log"
  "$server" --listen=127.0.0.1:0 --engine="$engine" --duration=${limit_s}s >"$log" 2>&1 &
  server_pids+=($!)
  for ((tries = 0; tries < 100; ++tries)); do
    if grep -q 'listening on' "$log"; then
      ports+=("$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p;q' "$log")")
      # Without the list of features.
      sed 's/; on: .*//;q' "$log" || lose_output
      return
    fi
    kill -0 $! 2>/dev/null || break
    sleep 0.05
  done
  cat "$log" >&2
  fail "the server ($engine) did not start"
}

# Ends a server, which drains; that too must go well.
stop_server() {
  local index=$1
  kill -TERM "${server_pids[index]}" 2>/dev/null
  wait "${server_pids[index]}" && return
  cat "$work/${engines[index]}.log" >&2
  fail "the server (${engines[index]}) did not end well"
}

print_header() {
  printf '\n%11s %8s  %-8s %9s %8s %8s %8s %8s %11s %11s  %s\n' \
    connections bytes engine msg/s MB/s p50 p99 p99.9 "server CPU" "load CPU" saturated &&
    printf '%11s %8s  %-8s %9s %8s %8s %8s %8s %11s %11s  %s\n' \
      "" "" "" "" "each way" us us us us/message us/message side
}

# One row from the load generator's JSON, which has a member per line.
print_row() {
  awk -v engine="$1" -F '": ' '
    { gsub(/[ "]/, "", $1); gsub(/[",]/, "", $2); value[$1] = $2 }
    END {
      printf "%11d %8d  %-8s %9d %8.1f %8.1f %8.1f %8.1f %11.2f %11.2f  %s\n",
          value["connections"], value["message_bytes"], engine,
          value["messages_per_second"], value["megabytes_per_second"],
          value["latency_p50_ns"] / 1000, value["latency_p99_ns"] / 1000,
          value["latency_p999_ns"] / 1000, value["server_cpu_ns_per_message"] / 1000,
          value["generator_cpu_ns_per_message"] / 1000, value["saturated"]
    }' "$2"
}

# In the background, so that a signal is not left waiting for it.
measure() {
  local index=$1 connections=$2 bytes=$3 json=$work/figures.json
  "$load" --target="127.0.0.1:${ports[index]}" --server_pid="${server_pids[index]}" \
    --connections="$connections" --message_size="$bytes" --warmup=200ms --duration=1s \
    --connect_timeout=3s --reply_timeout=3s --progress=false --json="$json" >/dev/null &
  load_pid=$!
  wait $load_pid || fail "the load generator failed: ${engines[index]}, $connections x $bytes B"
  load_pid=
  print_row "${engines[index]}" "$json" || lose_output
}

# The table is all that it is for.
{ : 3>&1; } 2>/dev/null || fail "standard output is closed"

trap clean_up EXIT
trap 'exit 1' INT TERM HUP
start_watchdog
for engine in "${engines[@]}"; do start_server "$engine"; done
print_header || lose_output
for shape in "${shapes[@]}"; do
  for ((index = 0; index < engine_count; ++index)); do
    # shellcheck disable=SC2086
    measure "$index" $shape
  done
done
for ((index = 0; index < engine_count; ++index)); do stop_server "$index"; done
server_pids=()
printf '\nEvery byte was verified. Rows of 1 s each; a few per cent between two rows are noise.\n' || lose_output
