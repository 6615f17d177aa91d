// CircularPositions: the read position and the write position of a circular buffer.
//
// Both positions only grow. The offset in the buffer is the position modulo the capacity. An
// empty buffer (head == tail) and a full one (tail - head == capacity) are therefore different,
// and the whole capacity is usable. In mirrored memory the `readable()` bytes from
// `read_offset()` on are contiguous, and so are the `writable()` bytes from `write_offset()` on:
//
//   head = read_offset()      tail = write_offset()
//        |                         |
//   [    ########### readable #####........ writable ...|....]
//                                                     seam
//
// Cost: 24 bytes. No function allocates, makes a system call or takes a lock.
// Threads: one at a time.
#ifndef IORING_BUFFER_CIRCULAR_POSITIONS_H_
#define IORING_BUFFER_CIRCULAR_POSITIONS_H_

// First, before code that would fail without it and not say why.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"

namespace ioring {

class CircularPositions {
 public:
  // The positions of an empty buffer.
  // Requires: `capacity_bytes` is a power of two (CHECKed).
  explicit CircularPositions(size_t capacity_bytes) : capacity_(capacity_bytes) {
    CHECK(std::has_single_bit(capacity_bytes))
        << "a circular buffer's capacity must be a power of two, not " << capacity_bytes;
  }

  size_t capacity() const { return capacity_; }
  bool empty() const { return tail_ == head_; }
  bool full() const { return readable() == capacity_; }

  // The number of bytes that were written and not yet read.
  size_t readable() const { return static_cast<size_t>(tail_ - head_); }
  // The number of bytes that can be written before some must be read.
  size_t writable() const { return capacity_ - readable(); }

  // The offsets of the first readable byte and of the first writable byte, both below capacity().
  size_t read_offset() const { return static_cast<size_t>(head_) & (capacity_ - 1); }
  size_t write_offset() const { return static_cast<size_t>(tail_) & (capacity_ - 1); }

  // The numbers of bytes that were ever read and ever written.
  uint64_t head() const { return head_; }
  uint64_t tail() const { return tail_; }

  // Adds `count` bytes, which the caller wrote at write_offset(), to the readable ones.
  // Requires: `count` is at most writable(). CHECKed in every build, for one comparison: otherwise
  // bytes that are still to be read would be given out for writing.
  void CommitWrite(size_t count) {
    CHECK_LE(count, writable()) << "more bytes committed as written than were writable";
    tail_ += count;
  }
  // Removes the first `count` readable bytes, and makes their space writable.
  // Requires: `count` is at most readable() (CHECKed).
  void CommitRead(size_t count) {
    CHECK_LE(count, readable()) << "more bytes committed as read than were readable";
    head_ += count;
  }

  // Makes the buffer empty, with both offsets at 0.
  void Reset() { head_ = tail_ = 0; }

 private:
  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  size_t capacity_;
};

}  // namespace ioring

#endif  // IORING_BUFFER_CIRCULAR_POSITIONS_H_
