// The conformance suite over kqueue.
#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_core/posix/testing/native_pairs.h"
#include "ring_kqueue/kqueue_ring.h"

namespace ioring {
namespace {

ConformanceBackend Kqueue() {
  return {
      .create = [](const RingOptions& options) { return KqueueRing::Create(options); },
      .shares_ports = true,
      .native_kinds = posix::NativeKinds(),
      .set_linger = &posix::SetLinger,
  };
}

INSTANTIATE_TEST_SUITE_P(Kqueue, RingConformance,
                         testing::ValuesIn(UnderMasks(Kqueue(), EmulatedMasks())), ConformanceName);

}  // namespace
}  // namespace ioring
