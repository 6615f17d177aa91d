// CircularPositions: where a circular buffer is read and where it is written.
//
// Head and tail only ever grow; an offset in the buffer is the position modulo the
// capacity. So "empty" (head == tail) and "full" (tail - head == capacity) are different,
// and the whole capacity is usable. With mirrored memory the readable bytes are the
// `readable()` bytes from `read_offset()` on, and the writable ones likewise, both
// contiguous:
//
//   head = read_offset()      tail = write_offset()
//        |                         |
//   [    ########### readable #####........ writable ...|....]
//                                                     seam
//
// A value of 24 bytes. No allocation, no kernel, no lock; one thread at a time.
#ifndef IORING_BUFFER_CIRCULAR_POSITIONS_H_
#define IORING_BUFFER_CIRCULAR_POSITIONS_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"

namespace ioring {

class CircularPositions {
 public:
  // An empty buffer. `capacity_bytes` must be a power of two (CHECKed).
  explicit CircularPositions(size_t capacity_bytes) : capacity_(capacity_bytes) {
    CHECK(std::has_single_bit(capacity_bytes))
        << "a circular buffer's capacity must be a power of two, not " << capacity_bytes;
  }

  size_t capacity() const { return capacity_; }
  bool empty() const { return tail_ == head_; }
  bool full() const { return readable() == capacity_; }

  // Bytes written and not yet read.
  size_t readable() const { return static_cast<size_t>(tail_ - head_); }
  // Bytes that can be written before something must be read.
  size_t writable() const { return capacity_ - readable(); }

  // Offsets of the first readable and of the first writable byte; less than capacity().
  size_t read_offset() const { return static_cast<size_t>(head_) & (capacity_ - 1); }
  size_t write_offset() const { return static_cast<size_t>(tail_) & (capacity_ - 1); }

  // Bytes ever read and ever written.
  uint64_t head() const { return head_; }
  uint64_t tail() const { return tail_; }

  // `count` bytes were written at write_offset(). More than writable() would give out
  // bytes that are still to be read; CHECKed in every build, for one comparison.
  void CommitWrite(size_t count) {
    CHECK_LE(count, writable()) << "more bytes committed as written than were writable";
    tail_ += count;
  }
  // `count` bytes from read_offset() on are done with. At most readable(), CHECKed.
  void CommitRead(size_t count) {
    CHECK_LE(count, readable()) << "more bytes committed as read than were readable";
    head_ += count;
  }

  // Empty again, at offset 0.
  void Reset() { head_ = tail_ = 0; }

 private:
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  size_t capacity_;
};

}  // namespace ioring

#endif  // IORING_BUFFER_CIRCULAR_POSITIONS_H_
