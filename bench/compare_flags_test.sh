#!/usr/bin/env bash
# Every flag of the comparison does what it says, and refuses what it cannot do.
#
# Usage: compare_flags_test.sh FLAG_CASES COMPARE LOAD SERVER EPOLL_LEVEL

set -uo pipefail
source "$1"

readonly SERVERS=("epoll=$5" "managed=$4 --listen=127.0.0.1:0")
# One server, so that most cases measure once.
readonly COMPARE=("$2" --load="$3" --rounds=1 --duration=20ms --warmup=1ms --foreign_load_max=9 --shapes=1x64
  --only=epoll "${SERVERS[@]}")

effect load "1 connections, 64 B" "${COMPARE[@]}" --load="$3"
failure load "--load is missing" "${COMPARE[@]}" --load=
failure load "/nonexistent" "${COMPARE[@]}" --load=/nonexistent

effect shapes "2 connections, 100 B, depth 3" "${COMPARE[@]}" --shapes=2x100x3
failure shapes '"2" is no shape' "${COMPARE[@]}" --shapes=2
failure shapes "--shapes names none" "${COMPARE[@]}" --shapes=

effect rounds "2 rounds of " "${COMPARE[@]}" --rounds=2
failure rounds "--rounds must be at least 1" "${COMPARE[@]}" --rounds=0

effect duration "of 30ms after" "${COMPARE[@]}" --duration=30ms
failure duration "--duration must be at least 1ms" "${COMPARE[@]}" --duration=-1s
effect warmup "after 2ms;" "${COMPARE[@]}" --warmup=2ms
failure warmup "--warmup must be at least 0" "${COMPARE[@]}" --warmup=-1s

effect against "throughput: / managed" "${COMPARE[@]}" --only=epoll,managed --against=managed
failure against "--against=absent: no server is called so" "${COMPARE[@]}" --against=absent
effect only "managed " "${COMPARE[@]}" --only=managed
[[ ${output} != *"epoll "* ]] || fail "--only=managed measures others: ${output}"
failure only "--only=absent: no server is called so" "${COMPARE[@]}" --only=absent

effect limits "epoll " "${COMPARE[@]}" --limits=epoll/epoll=1.5
expect 2 "epoll takes 1.00 times" "${COMPARE[@]}" --limits=epoll/epoll=0.5
expect 2 "epoll takes 1.00 times" "${COMPARE[@]}" --limits="epoll/epoll=9, epoll / epoll =0.5"
# One of a server that is not measured this time holds; one of a server that there is not cannot be held to.
effect limits "epoll " "${COMPARE[@]}" --limits=managed/epoll=0.01
failure limits 'no server is called "absent"; there are epoll, managed' "${COMPARE[@]}" --limits=absent/epoll=9
failure limits 'no server is called "epol"; there are epoll, managed' "${COMPARE[@]}" --limits=managed/epol=9
for limit in epoll epoll/epoll=many epoll/epoll=0 epoll/epoll=nan; do
  failure limits "\"${limit}\" is no limit" "${COMPARE[@]}" --limits="${limit}"
done

effect foreign_load_max "epoll " "${COMPARE[@]}" --foreign_load_max=100
failure foreign_load_max "--foreign_load_max must be at least 0" "${COMPARE[@]}" --foreign_load_max=-1
failure foreign_load_max "--foreign_load_max must be at least 0" "${COMPARE[@]}" --foreign_load_max=nan

effect server_cpu "epoll " "${COMPARE[@]}" --server_cpu=0
failure server_cpu "--server_cpu=-1 must lie between" "${COMPARE[@]}" --server_cpu=-1
failure server_cpu "--server_cpu=1024 must lie between" "${COMPARE[@]}" --server_cpu=1024
effect server_cpu,load_cpu "epoll " "${COMPARE[@]}" --server_cpu=0 --load_cpu=1
[[ $(nproc) == 1 || ${output} != *"share processor"* ]] || fail "two processors are taken for one: ${output}"
effect load_cpu "Server and load share processor 0" "${COMPARE[@]}" --load_cpu=0
effect load_cpu "Server and load share processor 0" "${COMPARE[@]}" --load_cpu=1023
failure load_cpu "--load_cpu=-1 must lie between" "${COMPARE[@]}" --load_cpu=-1

output_failures "${COMPARE[@]}"
finish_cases
