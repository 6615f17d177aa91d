// The conformance suite over a completion port, without Registered I/O.
#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/testing/set_linger.h"

namespace ioring {
namespace {

ConformanceBackend Iocp() {
  return {
      .create = [](const RingOptions& options) { return RioRing::CreateIocp(options); },
      .set_linger = &rio::SetLinger,
  };
}

INSTANTIATE_TEST_SUITE_P(Iocp, RingConformance,
                         testing::ValuesIn(UnderMasks(Iocp(), EmulatedMasks())), ConformanceName);

[[maybe_unused]] const bool nothing_left = rio::ExpectNothingLeft(&RioRing::CreateIocp);

}  // namespace
}  // namespace ioring
