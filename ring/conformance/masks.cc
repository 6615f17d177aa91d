#include "ring/conformance/masks.h"

#include <vector>

#include "ring/capability.h"
#include "ring/options.h"

namespace ioring {

std::vector<BackendMask> EmulatedMasks() {
  return {
      {"Default", {}},
      {"EverythingMasked", CapabilitySet::All()},
      // Completions find no room all the time, and everything waits for its turn.
      {"ShortQueues", {}, [](RingOptions& options) { options.completion_entries = 16; }},
  };
}

}  // namespace ioring
