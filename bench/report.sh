#!/usr/bin/env bash
# Measures everything and writes report.json, report.md and report.html.
#
#   ./bazelw run //bench:report [-- --form=full] [--shapes=50x64,...] [--out=FOLDER] [--peers=no] [--components=no]
#     [--files=FILE] [NAME=PROGRAM...]
#
# --form=quick (the default) takes less than five minutes, --form=full about forty minutes. Nothing else should run meanwhile.
# The files go to ./ioring-report. More servers may follow, as for //bench:compare. FILE is what bench/files/table wrote with
# --json=FILE: the report has its figures and charts, too.
set -euo pipefail

fail() {
  printf 'report: %s\n' "$*" >&2
  exit 1
}

form=quick
out="${BUILD_WORKING_DIRECTORY:-${PWD}}/ioring-report"
peers= components=yes reporter= server= load= files=
benchmarks=()
counters=()
servers=()
arguments=()
typed=()

# What Bazel says comes first, up to a word --typed; a person's words may override it.
is_typed=no
for argument in "$@"; do
  [[ ${is_typed} == yes ]] && typed+=("${argument}")
  case "${argument}" in
    --typed) is_typed=yes ;;
    --form=*) form="${argument#*=}" ;;
    --out=*) out="${argument#*=}" ;;
    --peers=*) peers="${argument#*=}" ;;
    --components=*) components="${argument#*=}" ;;
    --reporter=*) reporter="${argument#*=}" ;;
    --benchmark=*) benchmarks+=("${argument#*=}") ;;
    # per_message, virtual_call and idle_connections, in this order.
    --counter=*) counters+=("${argument#*=}") ;;
    --server=*) server="${argument#*=}" ;;
    --load=*) load="${argument#*=}" ;;
    --files=*) files="${argument#*=}" ;;
    [a-z]*=*) servers+=("${argument}") ;;
    *) arguments+=("${argument}") ;;
  esac
done

# How long each case of a component's benchmark runs.
case "${form}" in
  smoke) min_time=0.001s ;;
  quick) min_time=0.02s ;;
  full) min_time=0.2s ;;
  *) fail "--form=${form} is none of smoke, quick and full" ;;
esac
[[ ${components} == yes || ${components} == no ]] || fail "--components=${components} is neither yes nor no"
[[ ${peers} == no || -x ${peers} ]] || fail "--peers=${peers} is no program"
[[ -x ${reporter} ]] || fail "--reporter=${reporter} is no program"
for program in "${benchmarks[@]}"; do [[ -x ${program} ]] || fail "--benchmark=${program} is no program"; done
for program in "${counters[@]}"; do [[ -x ${program} ]] || fail "--counter=${program} is no program"; done
if [[ ${#counters[@]} != 0 ]]; then
  [[ ${#counters[@]} == 3 ]] || fail "--counter: there are ${#counters[@]} in place of per_message, virtual_call and idle_connections"
  [[ -x ${server} ]] || fail "--server=${server} is no program"
fi
{ : 3>&1; } 2>/dev/null || fail "standard output is closed"
[[ ${out} == /* ]] || out="${BUILD_WORKING_DIRECTORY:-${PWD}}/${out}"
[[ -z ${files} || ${files} == /* ]] || files="${BUILD_WORKING_DIRECTORY:-${PWD}}/${files}"
[[ -z ${files} || -r ${files} ]] || fail "--files=${files} cannot be read"
[[ -z ${files} ]] || arguments+=("--files=${files}")
mkdir -p "${out}" 2>/dev/null || fail "--out=${out} cannot be written"
# Before minutes are spent on components.
"${reporter}" --check --form="${form}" --out="${out}" --load="${load}" "${arguments[@]}" "${servers[@]}"

work="$(mktemp -d)"
trap 'rm -rf "${work}"' EXIT
mkdir "${work}/components" "${work}/peers"

# The servers of other libraries. Without a package of theirs there is a sentence in the report.
if [[ ${peers} != no ]]; then
  "${peers}" "${work}/peers" >"${work}/built" 2>"${work}/missing" || { cat "${work}/missing" >&2; exit 1; }
  cat "${work}/missing" >&2
  while read -r peer; do servers+=("${peer}"); done <"${work}/built"
  # An Abseil flag with a list takes commas apart, so none may be in a sentence.
  notes="$(sed -n 's/^not measured: \(.*\) (\(.*\))$/Not measured: \1 (\2 would bring it)./p' "${work}/missing" | paste -sd,)"
  [[ -z ${notes} ]] || arguments+=("--notes=${notes}")
fi

if [[ ${components} != no ]]; then
  for benchmark in "${benchmarks[@]}"; do
    name="$(basename "${benchmark}")"
    echo "${name}" >&2
    "${benchmark}" --benchmark_min_time="${min_time}" --benchmark_out="${work}/components/${name}.json" \
      --benchmark_out_format=json --benchmark_color=false >"${work}/components/${name}.txt" 2>"${work}/log" ||
      { cat "${work}/log" >&2; exit 1; }
  done
fi

# count PROGRAM ARGUMENT...: runs a program that counts instructions or bytes, and writes a JSON object per line.
count() {
  local program="$1" name
  shift
  name="$(basename "${program}")"
  echo "${name}" >&2
  "${program}" "--json=${work}/lines" "$@" >"${work}/components/${name}.txt" 2>"${work}/log" ||
    { cat "${work}/log" >&2; exit 1; }
  { echo '['; paste -sd, "${work}/lines"; echo ']'; } >"${work}/components/${name}.json"
}
if [[ ${components} != no && ${#counters[@]} -gt 0 ]]; then
  only=managed,mirror,uring_multishot,uring_oneshot
  [[ ${form} != full ]] || only+=,managed_epoll,mirror_epoll,uring_incremental,uring_fixed,epoll_level
  count "${counters[0]}" "--only=${only}" "${servers[@]}"
  # A part that is never reached: whether the promise is kept is for the report's table of targets to say.
  count "${counters[1]}" "--server=${server}" "--load=${load}" --part_max=inf
  count "${counters[2]}" "--server=${server}"
fi

command="./bazelw run //bench:report"
[[ ${#typed[@]} == 0 ]] || command+=" -- ${typed[*]}"
"${reporter}" --form="${form}" --out="${out}" --load="${load}" --components="${work}/components" \
  --command="${command}" "${arguments[@]}" "${servers[@]}"
echo "${out}/report.html" || fail "where the report is could not be written to standard output"
