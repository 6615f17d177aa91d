// CopyCounter: how many bytes the program copied in memory while it lives. Linking it puts a
// function in front of memcpy and memmove.
//
//   CopyCounter copies;
//   WriteFromWhereItLies();
//   EXPECT_EQ(copies.bytes(), 0u);
//
// Counts every thread of the program, and calls of at least kCountedCopyBytes: others are of
// records, not of data.
// Not counted: copies by a shared library, so that a test must be linked statically; copies for
// which the compiler makes no call (of a size that it knows, mostly); what the kernel copies.
#ifndef IORING_PROCESS_TESTING_COPY_COUNTER_H_
#define IORING_PROCESS_TESTING_COPY_COUNTER_H_

#include <cstddef>
#include <cstdint>

namespace ioring {

inline constexpr size_t kCountedCopyBytes = 512;

class CopyCounter {
 public:
  CopyCounter();

  // Copied since this was made.
  uint64_t bytes() const;

 private:
  const uint64_t before_;
};

}  // namespace ioring

#endif  // IORING_PROCESS_TESTING_COPY_COUNTER_H_
