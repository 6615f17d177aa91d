// A copy of a file by operations of a ring. Linux.
#ifndef IORING_BENCH_FILES_RING_COPY_H_
#define IORING_BENCH_FILES_RING_COPY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bench/files/open_files.h"
#include "bench/files/techniques.h"

namespace ioring {

// By one of the techniques that take a ring, which is one of io_uring. Returns how often it entered
// the kernel to submit and to wait.
absl::StatusOr<uint64_t> CopyByRing(const TechniqueOptions& options, const OpenFiles& files);

}  // namespace ioring

#endif  // IORING_BENCH_FILES_RING_COPY_H_
