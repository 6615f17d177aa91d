#!/usr/bin/env bash
# At least a million simulated operations in a second of one core, on a good network and on a bad one. Takes the benchmark.
set -u
readonly OPERATIONS_MIN=1000000
# Other programs of the machine share its caches, so a slow run says little. A fast one says that the simulation is.
readonly RUNS_MAX=6

# items_per_second is the seventh column, and of CPU time. The best of a case's repetitions counts, in all runs.
judge() {
  awk -F, -v min="${OPERATIONS_MIN}" '
    /^"Echo[^_]*",/ { if ($7 + 0 > best[$1]) best[$1] = $7 + 0 }
    END {
      for (name in best) {
        ++cases
        printf "%s: %d operations per second\n", name, best[name]
        if (best[name] < min) { ++slow; print "  these are fewer than " min }
      }
      exit cases == 0 || slow > 0
    }'
}

output=""
for ((run = 1; run <= RUNS_MAX; ++run)); do
  output+="$("$1" --benchmark_filter='^Echo' --benchmark_min_time=0.1s --benchmark_repetitions=3 --benchmark_format=csv)" ||
    exit 1
  output+=$'\n'
  echo "After run ${run}:"
  judge <<<"${output}" && exit 0
done
exit 1
