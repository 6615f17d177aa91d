// The fuzzer over epoll.
#include "ring/fuzzing/fuzz.h"

#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/options.h"
#include "ring_core/posix/testing/fuzz_sockets.h"
#include "ring_epoll/epoll_ring.h"

namespace ioring {
namespace {

FuzzBackend Epoll() {
  return {
      .create = [](const RingOptions& options) { return EpollRing::Create(options); },
      .sockets = posix::SocketsForFuzzing(),
  };
}

INSTANTIATE_TEST_SUITE_P(Epoll, RingFuzz, testing::ValuesIn(UnderMasks(Epoll(), EmulatedMasks())),
                         FuzzName);

}  // namespace
}  // namespace ioring
