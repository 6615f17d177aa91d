// What an idle connection costs in memory of the process: managed receives, nothing arriving.
//
// Counted is the anonymous memory that is in use (/proc/PID/smaps_rollup): pages, heap included,
// that were written to. Not counted is what the kernel keeps for a socket. Linux only.
#ifndef IORING_BENCH_MEMORY_IDLE_MEMORY_H_
#define IORING_BENCH_MEMORY_IDLE_MEMORY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "ring_native/create_ring.h"

namespace ioring {

struct IdleMemory {
  uint32_t connections = 0;  // that were open
  double bytes_each = 0;
};

// Huge pages would count as 2 MiB once a byte of them is written: not in this process and its
// children from now on.
void DisableHugePages();

// A ring alone, in a child process: `connections` sockets, each with a multishot managed
// receive in flight. Takes two descriptors for each; raises the limit if it may, and opens fewer
// where it may not.
absl::StatusOr<IdleMemory> MeasureRing(BackendKind backend, uint32_t connections);

// The echo server (its program), with everything that it keeps for a connection: what it uses
// with `connections` of them above what it uses when it is made for 64 and has none. Takes a
// descriptor for each here, and one there, where it has no direct descriptors.
absl::StatusOr<IdleMemory> MeasureServer(const std::string& program, BackendKind backend,
                                         uint32_t connections);

}  // namespace ioring

#endif  // IORING_BENCH_MEMORY_IDLE_MEMORY_H_
