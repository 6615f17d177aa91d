// The conformance suite over a completion port, without Registered I/O. All capabilities are
// emulated, so that there is one mask; what else changes the way is tried instead.
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/testing/set_linger.h"

namespace ioring {
namespace {

ConformanceBackend Masked(std::string name, CapabilitySet disabled) {
  return ConformanceBackend{
      .name = std::move(name),
      .create = [](const RingOptions& options) { return RioRing::CreateIocp(options); },
      .disabled = disabled,
      .set_linger = &rio::SetLinger,
  };
}

std::vector<ConformanceBackend> Backends() {
  std::vector<ConformanceBackend> backends = {
      Masked("Default", {}),
      Masked("EverythingMasked", CapabilitySet::All()),
      Masked("ShortQueues", {}),
  };
  // Completions find no room all the time, and everything waits for its turn.
  backends.back().adjust = [](RingOptions& options) { options.completion_entries = 16; };
  return backends;
}

INSTANTIATE_TEST_SUITE_P(Iocp, RingConformance, testing::ValuesIn(Backends()), ConformanceName);

[[maybe_unused]] const bool nothing_left = rio::ExpectNothingLeft(&RioRing::CreateIocp);

}  // namespace
}  // namespace ioring
