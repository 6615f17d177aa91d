// The fuzzer over a simulated world.
#include "ring/fuzzing/fuzz.h"

#include <cstdint>
#include <memory>

#include "absl/base/no_destructor.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/masks.h"
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

// Virtual time is out of step with the fuzzer's own, which is the system's.
absl::StatusOr<std::unique_ptr<Ring>> CreateRing(const RingOptions& options) {
  static absl::NoDestructor<SimulatedWorld> world(
      uint64_t{1},
      sim::WorldOptions{
          .clock = sim::Clock::kSystem,
          .faults = {.delay_max_ns = 200'000, .short_transfer = 100'000, .split = 100'000}});
  static const sim::HostId host = AddHost(*world);
  return world->CreateRing(host, options);
}

INSTANTIATE_TEST_SUITE_P(Sim, RingFuzz,
                         testing::ValuesIn(UnderMasks(FuzzBackend{.create = &CreateRing},
                                                      EmulatedMasks())),
                         FuzzName);

}  // namespace
}  // namespace ioring
