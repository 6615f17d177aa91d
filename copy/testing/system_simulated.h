// SimulatedSystem: the host of a simulated world that copy/system.h is about, in a program that is
// linked with system_simulated.cc in place of system_posix.cc and system_linux.cc.
//
//   SimulatedSystem system(world, host);
//   copy::Engine engine(
//       [&](const RingOptions& options) { return world.CreateRing(host, options); }, {.rings = 1});
//
// All calls happen at once, in no time, and fail as the world's dice say, or where the process has
// as many files open as it may; a ring's opens do not. Numbers of RandomNumber are the same in each
// run. There are no extended attributes, and no special files.
// One at a time; the world's thread.
#ifndef IORING_COPY_TESTING_SYSTEM_SIMULATED_H_
#define IORING_COPY_TESTING_SYSTEM_SIMULATED_H_

#include <cstddef>

#include "ring_sim/network.h"
#include "ring_sim/simulated_world.h"

namespace ioring::copy {

class SimulatedSystem {
 public:
  static constexpr size_t kDescriptorsMax = 1024;

  // `descriptors`: that the process may have open.
  SimulatedSystem(SimulatedWorld& world, sim::HostId host, size_t descriptors = kDescriptorsMax);
  SimulatedSystem(const SimulatedSystem&) = delete;
  SimulatedSystem& operator=(const SimulatedSystem&) = delete;
  ~SimulatedSystem();
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TESTING_SYSTEM_SIMULATED_H_
