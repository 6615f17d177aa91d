// The conformance suite over Registered I/O, of which there is a double.
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/testing/rio_double.h"
#include "ring_rio/testing/set_linger.h"

namespace ioring {
namespace {

ConformanceBackend Masked(std::string name, CapabilitySet disabled) {
  return ConformanceBackend{
      .name = std::move(name),
      .create =
          [](const RingOptions& options) { return RioRing::CreateRio(options, rio::RioDouble()); },
      .disabled = disabled,
      .set_linger = &rio::SetLinger,
  };
}

std::vector<ConformanceBackend> Backends() {
  std::vector<ConformanceBackend> backends = {
      Masked("Default", {}),
      Masked("EverythingMasked", CapabilitySet::All()),
      // Memory is registered, and sockets do without.
      Masked("FixedSocketIoMasked", {Capability::kFixedSocketIo}),
      Masked("ShortQueues", {}),
  };
  // Completions find no room all the time, and everything waits for its turn.
  backends.back().adjust = [](RingOptions& options) { options.completion_entries = 16; };
  return backends;
}

INSTANTIATE_TEST_SUITE_P(Rio, RingConformance, testing::ValuesIn(Backends()), ConformanceName);

// Registered memory, queues, requests.
[[maybe_unused]] const bool nothing_left = rio::ExpectNothingLeft(
    [](const RingOptions& options) { return RioRing::CreateRio(options, rio::RioDouble()); },
    [] { return rio::CountRioDouble() == rio::RioDoubleCounts{}; });

}  // namespace
}  // namespace ioring
