#include "ring_sim/testing/simulated_native.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"
#include "ring_sim/simulated_world.h"

namespace ioring {
namespace {

sim::World* the_world = nullptr;
sim::HostId the_host = 0;

}  // namespace

namespace sim {

NativeHost::NativeHost(World& world, HostId host) {
  CHECK(the_world == nullptr) << "there is one already";
  the_world = &world;
  the_host = host;
}

NativeHost::~NativeHost() { the_world = nullptr; }

std::chrono::steady_clock::time_point NativeHost::Now() { return the_world->Now(the_host); }

}  // namespace sim

absl::StatusOr<CreatedRing> CreateRing(const RingOptions& options, BackendKind /*kind*/) {
  if (the_world == nullptr) return absl::FailedPreconditionError("there is no sim::NativeHost");
  absl::StatusOr<std::unique_ptr<Ring>> ring = the_world->CreateRing(the_host, options);
  if (!ring.ok()) return ring.status();
  return CreatedRing{.ring = *std::move(ring), .report = "sim"};
}

}  // namespace ioring
