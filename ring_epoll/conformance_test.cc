// The conformance suite over epoll.
#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_core/posix/testing/native_pairs.h"
#include "ring_epoll/epoll_ring.h"

namespace ioring {
namespace {

ConformanceBackend Epoll() {
  return {
      .create = [](const RingOptions& options) { return EpollRing::Create(options); },
      .shares_ports = true,
      .native_kinds = posix::NativeKinds(),
      .set_linger = &posix::SetLinger,
  };
}

INSTANTIATE_TEST_SUITE_P(Epoll, RingConformance,
                         testing::ValuesIn(UnderMasks(Epoll(), EmulatedMasks())), ConformanceName);

}  // namespace
}  // namespace ioring
