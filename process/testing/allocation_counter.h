// AllocationCounter: how often operator new ran while it lives. Tests only: linking it
// replaces the program's operator new and delete.
//
//   AllocationCounter allocations;
//   HotPath();
//   EXPECT_EQ(allocations.count(), 0u);
//
// Counts every thread of the program.
#ifndef IORING_PROCESS_TESTING_ALLOCATION_COUNTER_H_
#define IORING_PROCESS_TESTING_ALLOCATION_COUNTER_H_

#include <cstdint>

namespace ioring {

class AllocationCounter {
 public:
  AllocationCounter();

  // Allocations since this was made.
  uint64_t count() const;

 private:
  const uint64_t before_;
};

}  // namespace ioring

#endif  // IORING_PROCESS_TESTING_ALLOCATION_COUNTER_H_
