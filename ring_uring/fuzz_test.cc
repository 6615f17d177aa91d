// The fuzzer over io_uring, under the masks of the conformance suite.
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
#include "ring_uring/uring_ring.h"

namespace ioring {
namespace {

FuzzBackend Masked(std::string name, CapabilitySet disabled,
                   std::function<void(RingOptions&)> adjust = nullptr) {
  return FuzzBackend{
      .name = std::move(name),
      .create = [](const RingOptions& options) { return UringRing::Create(options); },
      .disabled = disabled,
      .adjust = std::move(adjust),
      .sockets = posix::SocketsForFuzzing(),
  };
}

std::vector<FuzzBackend> Backends() {
  using enum Capability;
  return {
      Masked("AllFeatures", {}),
      Masked("NoProvidedBuffers", {kProvidedBuffers}),
      Masked("NoMultishot", {kMultishotAccept, kMultishotRecv}),
      Masked("NoDirectDescriptors", {kDirectDescriptors}),
      Masked("NoRegisteredBuffers", {kRegisteredBuffers, kFixedSocketIo}),
      Masked("NoIncrementalBuffers", {kIncrementalBuffers}),
      Masked("NoIncrementalBuffersNoBundles", {kIncrementalBuffers, kBundles}),
      Masked("NothingNewerThan5_15", CapabilitiesNewerThan5_15()),
      Masked("NoDeferredTaskRun", {kDeferredTaskRun}),
      Masked("ZeroCopySend", {},
             [](RingOptions& options) { options.zero_copy_threshold_bytes = 1; }),
      Masked("FixedSocketIo", {},
             [](RingOptions& options) { options.fixed_socket_io_threshold_bytes = 1; }),
      Masked("RestrictedOperations", {},
             [](RingOptions& options) { options.restrict_operations = true; }),
  };
}

INSTANTIATE_TEST_SUITE_P(Uring, RingFuzz, testing::ValuesIn(Backends()), FuzzName);

}  // namespace
}  // namespace ioring
