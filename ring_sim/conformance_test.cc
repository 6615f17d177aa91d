// The conformance suite over a simulated world. Its clock is the system's, because the suite
// measures time; that runs can be had again, simulated_world_test proves.
#include <memory>

#include "absl/base/no_destructor.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_sim/simulated_world.h"

namespace ioring {
namespace {

// The tests name files in the directory that real ones would be in.
sim::HostId AddHost(SimulatedWorld& world) {
  const sim::HostId host = world.AddHost("host");
  world.MakeDirectories(host, testing::TempDir());
  return host;
}

// All rings are of one host, as those of other backends are of one machine.
absl::StatusOr<std::unique_ptr<Ring>> CreateRing(const RingOptions& options) {
  static absl::NoDestructor<SimulatedWorld> world(uint64_t{1},
                                                  sim::WorldOptions{.clock = sim::Clock::kSystem});
  static const sim::HostId host = AddHost(*world);
  return world->CreateRing(host, options);
}

// No socket is the system's: there are no others to be handed in (native_kinds), nor any option of
// theirs to be set (set_linger).
ConformanceBackend Sim() { return {.create = &CreateRing, .shares_ports = true}; }

INSTANTIATE_TEST_SUITE_P(Sim, RingConformance,
                         testing::ValuesIn(UnderMasks(Sim(), EmulatedMasks())), ConformanceName);

}  // namespace
}  // namespace ioring
