// The fuzzer over kqueue. All capabilities are emulated, so that there is one mask; what else
// changes the way is tried instead.
#include "ring/fuzzing/fuzz.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/options.h"
#include "ring_core/posix/testing/fuzz_sockets.h"
#include "ring_kqueue/kqueue_ring.h"

namespace ioring {
namespace {

FuzzBackend Masked(std::string name, CapabilitySet disabled,
                   std::function<void(RingOptions&)> adjust = nullptr) {
  return FuzzBackend{
      .name = std::move(name),
      .create = [](const RingOptions& options) { return KqueueRing::Create(options); },
      .disabled = disabled,
      .adjust = std::move(adjust),
      .sockets = posix::SocketsForFuzzing(),
  };
}

std::vector<FuzzBackend> Backends() {
  return {
      Masked("Default", {}),
      Masked("EverythingMasked", CapabilitySet::All()),
      // Completions find no room all the time, and everything waits for its turn.
      Masked("ShortQueues", {}, [](RingOptions& options) { options.completion_entries = 16; }),
  };
}

INSTANTIATE_TEST_SUITE_P(Kqueue, RingFuzz, testing::ValuesIn(Backends()), FuzzName);

}  // namespace
}  // namespace ioring
