#!/usr/bin/env bash
# Every flag of systems/test_kernels does what it says, and refuses what it cannot do; and its judge passes over programs
# of which a filter leaves no test. Stand-ins play Bazel, Debian's mirror and the machines.
#
# Usage: test_kernels_flags_test.sh FLAG_CASES TEST_KERNELS JUDGE TABULATE PACKAGES

set -uo pipefail
source "$1"

readonly FOLDER="$(mktemp -d "${TEST_TMPDIR:-/tmp}/flags.XXXXXX")"
trap 'rm -rf "${FOLDER}"' EXIT
readonly TREE="${FOLDER}/tree"
copy_tree "${TREE}" "${@:2}"
readonly RUN="${TREE}/$2"
export CALLS="${FOLDER}/calls" PATH="${FOLDER}/bin:${PATH}"
for program in qemu-system-x86_64 qemu-system-aarch64 cpio; do stand_in "${FOLDER}/bin/${program}" </dev/null; done
stand_in "${FOLDER}/bin/nproc" <<<"echo 2"
stand_in "${TREE}/bazelw" <<'END'
echo "bazelw $*" >>"${CALLS}"
case "$1" in
  query) printf '//pool:slab_test\n//ring_uring:conformance_test\n' ;;
  info) echo bin ;;
esac
END
stand_in "${TREE}/systems/debian_file" <<'END'
case "$*" in
  *"image-[0-9]+"*) printf 'linux-image-6.%s-amd64\n' 12 1 ;;
  --names*) ;;
  *) echo image ;;
esac
END
stand_in "${TREE}/systems/make_initramfs" <<'END'
printf '%s\n' "${@:4}" >"$2"
END
# A machine: the programs of the second processor have nothing left to do. BROKEN names one that fails, EMPTY one without
# tests, NO_RING one whose backend does not start.
stand_in "${TREE}/systems/boot" <<'END'
echo "boot $*" >>"${CALLS}"
[[ " $* " != *" filter="* ]] || filter="$(sed 's/.* filter=//' <<<"$*")"
printf 'VM: KERNEL %s\nVM: RING io_uring (6.1)\n' "${KERNEL:-6.1.0}"
while read -r program; do
  if [[ ${NO_RING:-} == "${program}" ]]; then
    echo "VM: OFF ${program} the kernel refused it"
    continue
  fi
  suite="$([[ ${program} == pool/* ]] && echo Slab || echo Ring)"
  # shellcheck disable=SC2254
  case "${suite}.One" in ${filter:-*}) count=1 ;; *) count=0 ;; esac
  status=0
  [[ ${EMPTY:-} != "${program}" ]] || count=0
  [[ ${BROKEN:-} != "${program}" ]] || count=0 status=134
  echo "VM: BEGIN ${program} ${count} 0"
  [[ ${count} == 0 || $* != *" shard=0 "* ]] || printf '[ RUN      ] %s.One\n[       OK ] %s.One (1 ms)\n' "${suite}" "${suite}"
  printf '\nVM: END %s %s 1\n' "${program}" "${status}"
done <"$3"
END

effect programs "//pool:slab_test@6.1.0" "${RUN}" --programs='pool/.*' 6.1
[[ ${output} == *"PASSED: 1 passed, 0 skipped, 0 failed, of 1"* ]] || fail "it did not pass: ${output}"
[[ ${output} != *conformance* ]] || fail "--programs=pool/.* runs others: ${output}"
failure programs "no test program matches --programs=absent" "${RUN}" --programs=absent 6.1
: >"${CALLS}"
failure programs "--programs=( is no regular expression" "${RUN}" --programs='(' 6.1
[[ ! -s ${CALLS} ]] || fail "it was built for what is no regular expression: $(<"${CALLS}")"

effect filter '| `pool/slab_test` | no test |' "${RUN}" --filter='Ring*' 6.1
[[ ${output} == *"//pool:slab_test@6.1.0 "*"NO TEST"* ]] || fail "not told that there is no test: ${output}"
[[ ${output} == *"conformance_test@6.1.0 "*"PASSED: 1 passed"* ]] || fail "the filter's test did not pass: ${output}"
grep -q "boot .* filter=Ring\*" "${CALLS}" || fail "the machine does not know the filter: $(<"${CALLS}")"
failure filter "the filter leaves no test of any program" "${RUN}" --filter='Absent*' 6.1
# What cannot count its tests has failed, and without a filter there is no program without tests.
BROKEN=pool/slab_test failure filter "ended with status 134" "${RUN}" --filter='Ring*' 6.1
EMPTY=pool/slab_test expect 1 "has no tests, or was never begun" "${RUN}" 6.1
# Only what is too old may have no ring.
NO_RING=pool/slab_test expect 1 "there is no ring: the kernel refused it" "${RUN}" 6.1
NO_RING=pool/slab_test KERNEL=5.10.0 expect 0 "OFF: the kernel refused it" "${RUN}" 6.1

: >"${CALLS}"
effect architecture "PASSED" "${RUN}" --architecture=arm64 6.1
grep -q "^bazelw build --config=linux-arm64" "${CALLS}" || fail "not built for arm64: $(<"${CALLS}")"
grep -q "^boot arm64 " "${CALLS}" || fail "not booted for arm64: $(<"${CALLS}")"
failure architecture "--architecture=vax: it is amd64 or arm64" "${RUN}" --architecture=vax 6.1

effect results "Logs: ${FOLDER}/results" "${RUN}" --results="${FOLDER}/results" 6.1
effect results "|  | 6.1 | 6.12 |" "${RUN}" --results="${FOLDER}/results" 6.12
[[ -s ${FOLDER}/results/6.1.0.log && -s ${FOLDER}/results/6.12.result ]] || fail "no logs: $(ls "${FOLDER}/results")"
(cd "${FOLDER}" && effect results "Logs: ${FOLDER}/here" "${RUN}" --results=here 6.1 && [[ ${failures} == 0 ]]) || fail "a relative --results"
: >"${CALLS}"
for folder in /dev/null/results /proc/self/fdinfo; do
  failure results "--results=${folder} cannot be written" "${RUN}" --results="${folder}" 6.1
done
[[ ! -s ${CALLS} ]] || fail "it was built for results that cannot be written: $(<"${CALLS}")"

expect 0 "|  | 6.1 | 6.12 |" "${RUN}"
expect 1 "what is --quick?" "${RUN}" --quick
output_failures "${RUN}" 6.1
: >"${CALLS}"
expect 1 "standard output is closed" closed "${RUN}" 6.1
[[ ! -s ${CALLS} ]] || fail "it was built for an output that is closed: $(<"${CALLS}")"
finish_cases
