#!/usr/bin/env bash
# Every flag of bench/compare_commits does what it says, and refuses what it cannot do: in a repository of two commits, with
# a stand-in for Bazel, whose benchmarks say what they were asked for.
#
# Usage: compare_commits_flags_test.sh FLAG_CASES COMPARE_COMMITS

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree"
export CALLS="${FOLDER}/calls"
copy_tree "${TREE}" "$2"
stand_in "${TREE}/bazelw" <<'END'
words=" $* "
case "${words}" in
  *" info "*) echo downloads ;;
  *" query "*) printf '//pool:slab_benchmark\n//ring:nop_benchmark\n' ;;
  *" build "*)
    mkdir -p bazel-out/k8/bin/{pool,ring}
    cp program bazel-out/k8/bin/pool/slab_benchmark
    cp program bazel-out/k8/bin/ring/nop_benchmark
    ;;
esac
END
# In the second commit it takes twice the time.
stand_in "${TREE}/program" <<'END'
echo "${0##*/} $*" >>"${CALLS}"
echo 'name,iterations,real_time,cpu_time,time_unit'
echo '"BM_One",100,10,10,ns,'
END
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com
git_in_tree() { git -c init.defaultBranch=main -C "${TREE}" "$@" >/dev/null || fail "git $*"; }
git_in_tree init
git_in_tree add .
git_in_tree commit --message=first
sed -i 's/10,10,ns/10,20,ns/' "${TREE}/program"
git_in_tree commit --all --message=second
readonly RUN=("${TREE}/$2" --rounds=1 HEAD~)

effect rounds "round 3 of 3" "${RUN[@]}" --rounds=3
[[ ${output} != *"round 4"* ]] || fail "more than three rounds: ${output}"
[[ ${output} == *"slower  2.000"*"pool_slab_benchmark/BM_One"* ]] || fail "no ratio: ${output}"
for count in 0 -1 1.5 many ""; do failure rounds "--rounds=${count} is no number of rounds" "${RUN[@]}" --rounds="${count}"; done

: >"${CALLS}"
effect min_time,filter "slower" "${RUN[@]}" --min_time=0.25 --filter=One
grep -q -- "--benchmark_min_time=0.25s --benchmark_filter=One " "${CALLS}" || fail "the programs do not know: $(<"${CALLS}")"
for seconds in -1 1s .5 many; do failure min_time "--min_time=${seconds} is no number of seconds" "${RUN[@]}" --min_time="${seconds}"; done

effect only "pool_slab_benchmark" "${RUN[@]}" --only=^//pool:
[[ ${output} != *nop_benchmark* ]] || fail "--only=^//pool: measures others: ${output}"
failure only "matches absent" "${RUN[@]}" --only=absent

: >"${CALLS}"
failure only "--only=( is no regular expression" "${RUN[@]}" --only='('
failure filter "--filter=( is no regular expression" "${RUN[@]}" --filter='('
[[ ! -s ${CALLS} ]] || fail "it was run for what is no regular expression"

effect limit "slower" "${RUN[@]}" --limit=2.5
expect 2 "slower" "${RUN[@]}" --limit=1.5
for ratio in -1 many 1e3; do failure limit "--limit=${ratio} is no ratio" "${RUN[@]}" --limit="${ratio}"; done

# A third commit has one case more, and a program less; a fourth has none of their cases.
printf '%s\n' "echo '\"BM_Two\",100,10,10,ns,'" >>"${TREE}/program"
sed -i 's/.n..ring:nop_benchmark//' "${TREE}/bazelw"
git_in_tree commit --all --message=third
expect 0 "noise   1.000" "${RUN[@]}"
[[ ${output} == *$'\nonly in new: pool_slab_benchmark/BM_Two\nonly in base: ring_nop_benchmark'* ]] ||
  fail "what one commit alone has is not told: ${output}"
sed -i 's/BM_/BM_Other/' "${TREE}/program"
git_in_tree commit --all --message=fourth
expect 1 "the two commits have no case in common" "${RUN[@]}"
[[ ${output} == *$'\nonly in base: pool_slab_benchmark/BM_One\nonly in new: pool_slab_benchmark/BM_OtherOne\n'* ]] ||
  fail "what one commit alone has is not told: ${output}"
git_in_tree reset --hard HEAD~2

expect 1 "there is no option --round" "${RUN[@]}" --round=1
expect 1 "there is no commit absent" "${RUN[@]}" absent
output_failures "${RUN[@]}" --limit=1.5
: >"${CALLS}"
expect 1 "standard output is closed" closed "${RUN[@]}"
[[ ! -s ${CALLS} ]] || fail "it was run for an output that is closed: $(<"${CALLS}")"
expect 0 "" git -C "${TREE}" diff --exit-code
[[ $(git -C "${TREE}" worktree list | wc -l) == 1 ]] || fail "it leaves worktrees"
finish_cases
