// The mapper: what `buffer` needs of the operating system, and nothing more.
//
// Each system has an implementation of its own (mapper_linux.cc, ...), which BUILD.bazel chooses.
// Only the classes of this package use it.
//
// Ownership: the mapper has no state. The caller keeps what it needs to unmap the memory.
// Threads: any thread may call any function at any time.
// Cost: mapping and unmapping enter the kernel.
#ifndef IORING_BUFFER_MAPPER_H_
#define IORING_BUFFER_MAPPER_H_

#include <cstddef>

#include "buffer/map_result.h"

namespace ioring::mapper {

// Returns the granularity of mirrored buffers, a power of two: the size of a buffer is a multiple
// of it.
size_t GranularityBytes();

// Maps `count` mirrored buffers in a row, out of one memory object.
//
// Requires: `size_bytes` is a power of two and a multiple of GranularityBytes(), `count` > 0, and
// `2 * size_bytes * count` does not overflow.
// Effects: buffer i occupies [i * 2 * size_bytes, (i + 1) * 2 * size_bytes). Both halves of that
// range are the same pages. The memory is zeroed. No other thread can get a part of the range
// while it is being mapped. No descriptor or handle is left open.
// Returns: the start of the first buffer.
// Errors: kResourceExhausted where memory, address space, mappings or descriptors are short: the
// message says which, and what to do. kInvalidArgument where the system does not map so much at
// once. kPermissionDenied where the system denies the process shared memory.
MapResult<std::byte*> MapMirrors(size_t size_bytes, size_t count);

// Unmaps what MapMirrors mapped. Takes the address that the call returned, and its arguments.
void UnmapMirrors(std::byte* base, size_t size_bytes, size_t count);

// Maps zeroed memory that is shared with no other process, in huge pages where the system has
// them.
//
// Requires: `size_bytes` > 0, a multiple of GranularityBytes().
// Errors: as for MapMirrors.
MapResult<std::byte*> MapPlain(size_t size_bytes);

// Unmaps what MapPlain mapped. Takes the address that the call returned, and its argument.
void UnmapPlain(std::byte* base, size_t size_bytes);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_H_
