#include "buffer/circular_positions.h"

#include <cstddef>

#include "buffer/concat.h"
#include "process/standard_error.h"

namespace ioring {

using buffer_internal::Concat;

void CircularPositions::DieOfCapacity(size_t capacity_bytes) {
  process::EndProgram(
      Concat("a circular buffer's capacity must be a power of two, not ", capacity_bytes));
}

void CircularPositions::DieOfWrite(size_t count, size_t writable) {
  process::EndProgram(
      Concat("more bytes committed as written than were writable: ", count, " of ", writable));
}

void CircularPositions::DieOfRead(size_t count, size_t readable) {
  process::EndProgram(
      Concat("more bytes committed as read than were readable: ", count, " of ", readable));
}

}  // namespace ioring
