// The fuzzer over io_uring, under the masks of the conformance suite.
#include "ring/fuzzing/fuzz.h"

#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/options.h"
#include "ring_core/posix/testing/fuzz_sockets.h"
#include "ring_uring/uring_masks.h"
#include "ring_uring/uring_ring.h"

namespace ioring {
namespace {

FuzzBackend Uring() {
  return {
      .create = [](const RingOptions& options) { return UringRing::Create(options); },
      .sockets = posix::SocketsForFuzzing(),
  };
}

INSTANTIATE_TEST_SUITE_P(Uring, RingFuzz,
                         testing::ValuesIn(UnderMasks(Uring(), uring::UringMasks())), FuzzName);

}  // namespace
}  // namespace ioring
