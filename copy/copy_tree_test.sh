#!/usr/bin/env bash
# Random trees, copied and compared: by diff(1), by a listing of all that stat(1) tells, and by rsync(1) where it is there.
# Then copies that are killed at random moments and resumed. Nothing is installed: a missing rsync is told; with
# IORING_REQUIRE_CLIENTS=1 that is a failure.
#
# Usage: copy_tree_test.sh COPY [TREES [KILLS [SEED]]]

set -uo pipefail
readonly COPY="$(realpath "$1")" TREES="${2:-6}" KILLS="${3:-12}"
readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/copy.XXXXXX")"
trap 'chmod -R u+rwX "${FOLDER}"; rm -rf "${FOLDER}"' EXIT
readonly SEED="${4:-${SRANDOM:-$$}}"
RANDOM="${SEED}"
failures=0

fail() {
  printf 'FAILED (seed %s): %s\n' "${SEED}" "$*" >&2
  failures=$((failures + 1))
}

if ! command -v rsync >/dev/null; then
  printf '*** THERE IS NO rsync HERE: COPIES ARE NOT COMPARED BY IT ***\n' >&2
  [[ ${IORING_REQUIRE_CLIENTS:-0} == 0 ]] || fail "rsync is missing"
fi

# The time of most entries lies in the past, so that a copy which did not set it shows.
age() { touch -h -d "@$((1000000000 + RANDOM * 10000 + RANDOM)).$((RANDOM + 100000000))" "$1"; }

# make_entry PATH: one entry of a random kind.
make_entry() {
  case $((RANDOM % 10)) in
    0) : >"$1" ;;
    1 | 2 | 3) head -c "$((RANDOM % 5000))" /dev/urandom >"$1" ;;
    4) head -c "$((RANDOM * 20))" /dev/urandom >"$1" ;;
    5)
      # Data, a hole, data, and a hole at the end.
      head -c "$((RANDOM % 9000 + 1))" /dev/urandom >"$1"
      head -c 5000 /dev/urandom | dd of="$1" bs=1 seek="$((RANDOM * 30 + 100000))" conv=notrunc,sparse status=none
      truncate -s "$((2000000 + RANDOM * 10))" "$1"
      ;;
    6) ln -s "target $((RANDOM % 5))/../somewhere" "$1" ;;
    7)
      # In a name of one line, for what diff says of it.
      set -- "${1//$'\n'/}"
      mkfifo "$1"
      ;;
    8)
      head -c "$((RANDOM * 3))" /dev/urandom >"$1"
      ln "$1" "$1 (also)"
      ;;
    9)
      printf 'x' >"$1"
      setfattr -n user.kind -v "nine $((RANDOM))" "$1" 2>/dev/null
      ;;
  esac
  [[ -L $1 || $((RANDOM % 3)) != 0 ]] || chmod "0$((RANDOM % 4 + 4))$((RANDOM % 8))$((RANDOM % 8))" "$1"
  age "$1"
}

# make_tree PATH DEPTH
make_tree() {
  local i
  mkdir "$1"
  for ((i = RANDOM % 12; i > 0; --i)); do make_entry "$1/e $((RANDOM))-"$'\n'"$i"; done
  if (($2 > 0)); then
    for ((i = RANDOM % 4; i > 0; --i)); do make_tree "$1/d$i" $(($2 - 1)); done
  fi
  [[ $((RANDOM % 4)) != 0 ]] || chmod 0755 "$1"
  age "$1"
}

# Everything that a copy keeps of each entry, in order.
tell_all() {
  (
    cd "$1" || exit
    find . -mindepth 0 -printf '%P|%y|%m|%U|%G|%T@|%l|%n|' \( -type f -printf '%s' -o -true \) -printf '\0' | sort -z | tr '\0' '\n'
    find . -type f -exec getfattr -d -m - {} + 2>/dev/null | sort
  )
}

# equal SOURCE COPY WORDS: whether they are alike in everything.
equal() {
  local told
  # It takes no two FIFOs for alike.
  told="$(diff -r --no-dereference "$1" "$2" 2>&1 | grep -v ' is a fifo while file .* is a fifo$')"
  [[ -z ${told} ]] || fail "$3: diff: ${told}"
  diff <(tell_all "$1") <(tell_all "$2") >"${FOLDER}/told" || fail "$3: stat: $(<"${FOLDER}/told")"
  if command -v rsync >/dev/null; then
    local changes
    changes="$(rsync -aHXnc --delete --out-format=%i%n "$1/" "$2/")" || fail "$3: rsync ended with $?"
    [[ -z ${changes} ]] || fail "$3: rsync: ${changes}"
  fi
  local blocks
  blocks=("$(du -s --block-size=1 "$1" | cut -f1)" "$(du -s --block-size=1 "$2" | cut -f1)")
  ((blocks[1] <= blocks[0] * 11 / 10 + 65536)) || fail "$3: holes are filled: ${blocks[*]}"
  [[ -z $(find "$2" -name '.ioring-copy-*') ]] || fail "$3: a temporary name is left"
}

readonly METHODS=(auto fixed managed plain kernel)
# Where the file system of the tests has direct I/O.
printf 'x' >"${FOLDER}/direct"
DIRECT=never
! dd if="${FOLDER}/direct" of=/dev/null iflag=direct bs=4096 count=1 status=none 2>/dev/null || DIRECT=always
readonly DIRECT
for ((tree = 0; tree < TREES; ++tree)); do
  make_tree "${FOLDER}/from" 3
  for backend in auto epoll; do
    flags=(--backend="${backend}" --method="${METHODS[RANDOM % ${#METHODS[@]}]}" --depth="$((RANDOM % 40 + 1))" --chunk="$(((RANDOM % 32 + 1) * 4096))")
    ((RANDOM % 2)) || flags+=(--verify)
    flags+=(--rings="$((RANDOM % 3 + 1))")
    [[ ${flags[1]} == *kernel || ${flags[1]} == *managed || $((RANDOM % 2)) == 0 ]] || flags+=(--direct="${DIRECT}")
    "${COPY}" "${flags[@]}" "${FOLDER}/from" "${FOLDER}/to" >"${FOLDER}/said" 2>&1 || fail "${flags[*]}: $(<"${FOLDER}/said")"
    equal "${FOLDER}/from" "${FOLDER}/to" "${flags[*]}"
    # Again over what is there, and again with nothing to do.
    "${COPY}" "${flags[@]}" "${FOLDER}/from/." "${FOLDER}/to" >"${FOLDER}/said" 2>&1 || fail "again, ${flags[*]}: $(<"${FOLDER}/said")"
    equal "${FOLDER}/from" "${FOLDER}/to" "again, ${flags[*]}"
    "${COPY}" "${flags[@]}" --resume "${FOLDER}/from/." "${FOLDER}/to" >"${FOLDER}/said" 2>&1 || fail "resumed, ${flags[*]}: $(<"${FOLDER}/said")"
    grep -q '^copied 0 files (0 B), .* 0 symbolic links, 0 hard links, 0 special files' "${FOLDER}/said" || fail "--resume copies: $(<"${FOLDER}/said")"
    equal "${FOLDER}/from" "${FOLDER}/to" "resumed, ${flags[*]}"
    chmod -R u+rwX "${FOLDER}/to"
    rm -rf "${FOLDER}/to"
  done
  chmod -R u+rwX "${FOLDER}/from"
  rm -rf "${FOLDER}/from"
done

# ---- Killed, and resumed.

make_tree "${FOLDER}/from" 4
mkdir "${FOLDER}/from/many"
for ((i = 0; i < 1500; ++i)); do printf '%s' "$i" >"${FOLDER}/from/many/$i"; done
head -c 8000000 /dev/urandom >"${FOLDER}/from/large"
for ((i = 0; i < KILLS; ++i)); do
  mkdir "${FOLDER}/to"
  for ((again = RANDOM % 3; again >= 0; --again)); do
    # In a shell of its own, which does not tell of the kill.
    (timeout -s KILL "0.0$((RANDOM % 60 + 10))" "${COPY}" --resume "${FOLDER}/from/." "${FOLDER}/to" ; true) >/dev/null 2>&1
    # What has a name is complete.
    [[ ! -e ${FOLDER}/to/large ]] || cmp -s "${FOLDER}/from/large" "${FOLDER}/to/large" || fail "a half copy after a kill"
  done
  "${COPY}" --resume "${FOLDER}/from/." "${FOLDER}/to" >"${FOLDER}/said" 2>&1 || fail "after a kill: $(<"${FOLDER}/said")"
  equal "${FOLDER}/from" "${FOLDER}/to" "after kill $i"
  chmod -R u+rwX "${FOLDER}/to"
  rm -rf "${FOLDER}/to"
done

# ---- A source that changes meanwhile: it ends, tells, and leaves nothing half-written.

for ((i = 0; i < 3; ++i)); do
  (
    while :; do
      for ((j = 0; j < 200; ++j)); do
        head -c "$((RANDOM * 8))" /dev/zero >"${FOLDER}/from/many/$j"
        rm -f "${FOLDER}/from/many/$((j + 200))"
        truncate -s "$((RANDOM * 300))" "${FOLDER}/from/large"
      done
    done
  ) &
  changer=$!
  timeout 60 "${COPY}" "${FOLDER}/from" "${FOLDER}/to" >"${FOLDER}/said" 2>&1
  [[ $? -le 1 ]] || fail "it does not end while its source changes: $(tail -n 3 "${FOLDER}/said")"
  kill "${changer}"
  wait "${changer}" 2>/dev/null
  [[ -z $(find "${FOLDER}/to" -name '.ioring-copy-*') ]] || fail "a temporary name is left after changes"
  "${COPY}" --resume "${FOLDER}/from/." "${FOLDER}/to" >"${FOLDER}/said" 2>&1 || fail "after changes: $(<"${FOLDER}/said")"
  cmp "${FOLDER}/from/large" "${FOLDER}/to/large" || fail "a changed file is taken for complete"
  chmod -R u+rwX "${FOLDER}/to"
  rm -rf "${FOLDER}/to"
done
exit "$((failures != 0))"
