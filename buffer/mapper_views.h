// What the mappers of POSIX systems share: descriptors that close themselves, and the mapping and
// unmapping of a row of views. For mapper_*.cc only.
//
// The views of one region:
//
//   address   0      1      2      3      4      5     (times size_bytes)
//             [ b0 ] [ b0 ] [ b1 ] [ b1 ] [ b2 ] [ b2 ]
//   mapping   ---0-- ------1------ ------2------ --3---
//
// The second half of a buffer and the first half of the next one are adjacent in the memory
// object, too, so one mapping serves both. A region of n buffers costs n + 1 mappings instead
// of 2 n.
#ifndef IORING_BUFFER_MAPPER_VIEWS_H_
#define IORING_BUFFER_MAPPER_VIEWS_H_

#include <unistd.h>

#include <cstddef>

namespace ioring::mapper {

// Owns a descriptor, or none (-1). The destructor closes it, and does not change errno.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }

 private:
  const int descriptor_;
};

// Sets the size of `object`, which is new. Returns false with errno set where that is refused:
// EFBIG where the process's limit of file sizes is below it (RLIMIT_FSIZE), without the signal that
// the system would send (SIGXFSZ).
bool SetSize(int object, size_t bytes);

// Maps the views of `count` buffers out of `object`, which has the size of all of them.
//
// Effects: reserves the address space first, and then replaces it with the views, each in one step.
// So another thread's mapping cannot come between them at any time.
// Returns: the start of the row, or nullptr with errno set, where nothing stays mapped.
std::byte* MapViews(int object, size_t size_bytes, size_t count);

// Unmaps memory. A failure leaks address space and nothing else, so it does not end the program
// but is said on standard error.
void Unmap(std::byte* base, size_t bytes);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_VIEWS_H_
