// Says which backend this system gets, and for each capability whether it is on, or why not.

#include <chrono>
#include <cstdio>

#include "absl/status/statusor.h"
#include "ring/capability.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

int main() {
  using ioring::Capability;
  // What is on only where it is asked for is asked for, as far as it goes together.
  const ioring::RingOptions options = {.zero_copy_threshold_bytes = 1,
                                       .busy_poll = std::chrono::microseconds(1),
                                       .restrict_operations = true};
  const absl::StatusOr<ioring::CreatedRing> created = ioring::CreateRing(options);
  if (!created.ok()) {
    std::fprintf(stderr, "no ring: %s\n", created.status().ToString().c_str());
    return 1;
  }
  std::printf("%s\n", created->report.c_str());
  const ioring::CapabilityReport& report = created->ring->Capabilities();
  for (int i = 0; i < ioring::kCapabilityCount; ++i) {
    const auto capability = static_cast<Capability>(i);
    const std::string_view name = ioring::CapabilityName(capability);
    std::printf("%.*s: %s\n", static_cast<int>(name.size()), name.data(),
                report.Has(capability) ? "on" : report.reason(capability).c_str());
  }
  return 0;
}
