// What another process holds, as the system tells it: one file per system implements it.
#ifndef IORING_ECHO_TESTING_FOOTPRINT_H_
#define IORING_ECHO_TESTING_FOOTPRINT_H_

#include <sys/types.h>

#include <cstdint>

namespace ioring {

struct Footprint {
  uint64_t resident_bytes = 0;
  int descriptors = 0;
  int threads = 0;
};
// All zero where there is no such process.
Footprint FootprintOf(pid_t pid);

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_FOOTPRINT_H_
