#include "ring_uring/uring_masks.h"

#include <vector>

#include "ring/capability.h"
#include "ring/conformance/masks.h"
#include "ring/options.h"

namespace ioring::uring {

std::vector<BackendMask> UringMasks() {
  using enum Capability;
  return {
      {"AllFeatures", {}},
      {"NoProvidedBuffers", {kProvidedBuffers}},
      {"NoMultishot", {kMultishotAccept, kMultishotRecv}},
      {"NoDirectDescriptors", {kDirectDescriptors}},
      {"NoRegisteredBuffers", {kRegisteredBuffers, kFixedSocketIo}},
      {"NoIncrementalBuffers", {kIncrementalBuffers}},
      {"NoIncrementalBuffersNoBundles", {kIncrementalBuffers, kBundles}},
      {"NothingNewerThan5_15", CapabilitiesNewerThan5_15()},
      {"NoDeferredTaskRun", {kDeferredTaskRun}},
      // The calls of files run on the ring's threads, and managed reads have no help either.
      {"NoFileCalls", {kFileCalls, kFileTruncate, kProvidedBuffers}},
      {"ZeroCopySend", {}, [](RingOptions& options) { options.zero_copy_threshold_bytes = 1; }},
      {"FixedSocketIo",
       {},
       [](RingOptions& options) { options.fixed_socket_io_threshold_bytes = 1; }},
      {"RestrictedOperations",
       {},
       [](RingOptions& options) { options.restrict_operations = true; }},
  };
}

}  // namespace ioring::uring
