// The conformance suite over io_uring, under masks that stand for older kernels.
#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_core/posix/testing/native_pairs.h"
#include "ring_uring/uring_masks.h"
#include "ring_uring/uring_ring.h"

namespace ioring {
namespace {

ConformanceBackend Uring() {
  return {
      .create = [](const RingOptions& options) { return UringRing::Create(options); },
      .shares_ports = true,
      .native_kinds = posix::NativeKinds(),
      .set_linger = &posix::SetLinger,
  };
}

INSTANTIATE_TEST_SUITE_P(Uring, RingConformance,
                         testing::ValuesIn(UnderMasks(Uring(), uring::UringMasks())),
                         ConformanceName);

}  // namespace
}  // namespace ioring
