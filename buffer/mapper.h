// The mapper: what `buffer` needs of an operating system, and nothing more.
//
// One file per system implements it (mapper_linux.cc, ...); BUILD.bazel chooses which.
// Only the classes of this package use it. No state: whoever maps keeps what unmapping
// needs. Any thread may call any function at any time. Every function enters the kernel.
#ifndef IORING_BUFFER_MAPPER_H_
#define IORING_BUFFER_MAPPER_H_

#include <cstddef>

#include "absl/status/statusor.h"

namespace ioring::mapper {

// What the size of a mirrored buffer must be a multiple of, in bytes; a power of two.
size_t GranularityBytes();

// Maps `count` mirrored buffers in a row, out of one memory object: buffer i occupies
// [i * 2 * size_bytes, (i + 1) * 2 * size_bytes), and both halves of that are the same
// pages. The memory is zero. No other thread can come to own a part of the address range
// on the way, and no descriptor or handle is left open.
// Requires: `size_bytes` is a power of two and a multiple of GranularityBytes(),
// `count` > 0, `2 * size_bytes * count` does not overflow.
// ResourceExhausted (memory, mappings, descriptors) says what ran out and what to do.
absl::StatusOr<std::byte*> MapMirrors(size_t size_bytes, size_t count);

// Takes exactly what one call of MapMirrors returned and was given.
void UnmapMirrors(std::byte* base, size_t size_bytes, size_t count);

// Maps zeroed memory of this process alone, in huge pages where the system has them.
// Requires: `size_bytes` > 0, a multiple of GranularityBytes().
absl::StatusOr<std::byte*> MapPlain(size_t size_bytes);

// Takes exactly what one call of MapPlain returned and was given.
void UnmapPlain(std::byte* base, size_t size_bytes);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_H_
