// The conformance suite over epoll. All capabilities are emulated, so that there is one mask;
// what else changes the way is tried instead.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_core/posix/testing/native_pairs.h"
#include "ring_epoll/epoll_ring.h"

namespace ioring {
namespace {

ConformanceBackend Masked(std::string name, CapabilitySet disabled) {
  return ConformanceBackend{
      .name = std::move(name),
      .create = [](const RingOptions& options) { return EpollRing::Create(options); },
      .disabled = disabled,
      .shares_ports = true,
      .native_kinds = posix::NativeKinds(),
      .set_linger = &posix::SetLinger,
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

INSTANTIATE_TEST_SUITE_P(Epoll, RingConformance, testing::ValuesIn(Backends()), ConformanceName);

}  // namespace
}  // namespace ioring
