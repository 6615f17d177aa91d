// What the mappers of POSIX systems share: the row of views, descriptors that close
// themselves, and how address space is taken and given back. For mapper_*.cc only.
//
// The views of one region:
//
//   address   0      1      2      3      4      5     (times size_bytes)
//             [ b0 ] [ b0 ] [ b1 ] [ b1 ] [ b2 ] [ b2 ]
//   mapping   ---0-- ------1------ ------2------ --3---
//
// The second half of a buffer and the first half of the next are neighbours in the memory
// object too, so one mapping serves both: a region of n buffers costs n + 1 mappings, not
// 2 n.
#ifndef IORING_BUFFER_MAPPER_VIEWS_H_
#define IORING_BUFFER_MAPPER_VIEWS_H_

#include <unistd.h>

#include <cstddef>

namespace ioring::mapper {

// Closes a descriptor, which may be -1. Keeps errno.
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

// Maps the views of `count` buffers out of `object`, whose size it sets: in one step per
// view, into address space that it has reserved first, so that at no time another thread's
// mapping can come between. nullptr with errno and nothing left where it fails.
std::byte* MapViews(int object, size_t size_bytes, size_t count);

// A failure leaks address space and nothing else, so it is no reason to end the program:
// it is logged.
void Unmap(std::byte* base, size_t bytes);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_VIEWS_H_
