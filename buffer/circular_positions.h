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
// Errors: a requirement that is not met ends the program with a sentence on standard error, in
// every build. That takes a comparison.
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

namespace ioring {

class CircularPositions {
 public:
  // The positions of an empty buffer.
  // Requires: `capacity_bytes` is a power of two.
  explicit CircularPositions(size_t capacity_bytes) : capacity_(capacity_bytes) {
    if (!std::has_single_bit(capacity_bytes)) [[unlikely]] {
      DieOfCapacity(capacity_bytes);
    }
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
  // Requires: `count` is at most writable(). Otherwise bytes that are still to be read would be
  // given out for writing.
  void CommitWrite(size_t count) {
    if (count > writable()) [[unlikely]] {
      DieOfWrite(count, writable());
    }
    tail_ += count;
  }
  // Removes the first `count` readable bytes, and makes their space writable.
  // Requires: `count` is at most readable().
  void CommitRead(size_t count) {
    if (count > readable()) [[unlikely]] {
      DieOfRead(count, readable());
    }
    head_ += count;
  }

  // Makes the buffer empty, with both offsets at 0.
  void Reset() { head_ = tail_ = 0; }

 private:
  // Each ends the program with a sentence.
  [[noreturn]] static void DieOfCapacity(size_t capacity_bytes);
  [[noreturn]] static void DieOfWrite(size_t count, size_t writable);
  [[noreturn]] static void DieOfRead(size_t count, size_t readable);

  uint64_t head_ = 0;
  uint64_t tail_ = 0;
  size_t capacity_;
};

}  // namespace ioring

#endif  // IORING_BUFFER_CIRCULAR_POSITIONS_H_
