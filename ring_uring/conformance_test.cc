// The conformance suite over io_uring, under masks that stand for older kernels.
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_core/posix/testing/native_pairs.h"
#include "ring_uring/uring_ring.h"

namespace ioring {
namespace {

ConformanceBackend Masked(std::string name, CapabilitySet disabled) {
  return ConformanceBackend{
      .name = std::move(name),
      .create = [](const RingOptions& options) { return UringRing::Create(options); },
      .disabled = disabled,
      .shares_ports = true,
      .native_kinds = posix::NativeKinds(),
      .set_linger = &posix::SetLinger,
  };
}

std::vector<ConformanceBackend> Backends() {
  using enum Capability;
  std::vector<ConformanceBackend> backends = {
      Masked("AllFeatures", {}),
      Masked("NoProvidedBuffers", {kProvidedBuffers}),
      Masked("NoMultishot", {kMultishotAccept, kMultishotRecv}),
      Masked("NoDirectDescriptors", {kDirectDescriptors}),
      Masked("NoRegisteredBuffers", {kRegisteredBuffers, kFixedSocketIo}),
      Masked("NoIncrementalBuffers", {kIncrementalBuffers}),
      Masked("NoIncrementalBuffersNoBundles", {kIncrementalBuffers, kBundles}),
      Masked("NothingNewerThan5_15", CapabilitiesNewerThan5_15()),
      Masked("NoDeferredTaskRun", {kDeferredTaskRun}),
      Masked("ZeroCopySend", {}),
      Masked("FixedSocketIo", {}),
      Masked("RestrictedOperations", {}),
  };
  for (ConformanceBackend& backend : backends) {
    if (backend.name == "ZeroCopySend") {
      backend.adjust = [](RingOptions& options) { options.zero_copy_threshold_bytes = 1; };
    }
    if (backend.name == "FixedSocketIo") {
      backend.adjust = [](RingOptions& options) { options.fixed_socket_io_threshold_bytes = 1; };
    }
    if (backend.name == "RestrictedOperations") {
      backend.adjust = [](RingOptions& options) { options.restrict_operations = true; };
    }
  }
  return backends;
}

INSTANTIATE_TEST_SUITE_P(Uring, RingConformance, testing::ValuesIn(Backends()), ConformanceName);

}  // namespace
}  // namespace ioring
