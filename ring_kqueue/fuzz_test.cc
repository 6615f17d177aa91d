// The fuzzer over kqueue.
#include "ring/fuzzing/fuzz.h"

#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/options.h"
#include "ring_core/posix/testing/fuzz_sockets.h"
#include "ring_kqueue/kqueue_ring.h"

namespace ioring {
namespace {

FuzzBackend Kqueue() {
  return {
      .create = [](const RingOptions& options) { return KqueueRing::Create(options); },
      .sockets = posix::SocketsForFuzzing(),
  };
}

INSTANTIATE_TEST_SUITE_P(Kqueue, RingFuzz, testing::ValuesIn(UnderMasks(Kqueue(), EmulatedMasks())),
                         FuzzName);

}  // namespace
}  // namespace ioring
