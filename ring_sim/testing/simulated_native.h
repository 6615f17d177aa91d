// ioring::CreateRing (ring_native/create_ring.h) over a simulated world: for programs that make
// their rings themselves.
#ifndef IORING_RING_SIM_TESTING_SIMULATED_NATIVE_H_
#define IORING_RING_SIM_TESTING_SIMULATED_NATIVE_H_

#include <chrono>

#include "ring_sim/simulated_world.h"

namespace ioring::sim {

// While there is one, CreateRing makes rings of this host, whichever backend it is asked for. One
// at a time.
class NativeHost {
 public:
  NativeHost(World& world, HostId host);
  NativeHost(const NativeHost&) = delete;
  NativeHost& operator=(const NativeHost&) = delete;
  ~NativeHost();

  // What its clock says: in place of std::chrono::steady_clock::now.
  static std::chrono::steady_clock::time_point Now();
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_TESTING_SIMULATED_NATIVE_H_
