// The fuzzer over a completion port, without Registered I/O.
#include "ring/fuzzing/fuzz.h"

#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/fuzz_sockets.h"

namespace ioring {
namespace {

FuzzBackend Iocp() {
  return {
      .create = [](const RingOptions& options) { return RioRing::CreateIocp(options); },
      .sockets = rio::SocketsForFuzzing(),
  };
}

INSTANTIATE_TEST_SUITE_P(Iocp, RingFuzz, testing::ValuesIn(UnderMasks(Iocp(), EmulatedMasks())),
                         FuzzName);

}  // namespace
}  // namespace ioring
