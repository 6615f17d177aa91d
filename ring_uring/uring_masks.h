// The masks under which io_uring's conformance suite and fuzzer run: they stand for older kernels,
// and for options that change the way.
#ifndef IORING_RING_URING_URING_MASKS_H_
#define IORING_RING_URING_URING_MASKS_H_

#include <vector>

#include "ring/conformance/masks.h"

namespace ioring::uring {

std::vector<BackendMask> UringMasks();

}  // namespace ioring::uring

#endif  // IORING_RING_URING_URING_MASKS_H_
