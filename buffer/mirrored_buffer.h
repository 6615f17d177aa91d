// MirroredBuffer: a circular buffer of bytes. Its contents are one contiguous span at all times,
// and so is its free space. It needs no ring.
//
//   MapResult<MirroredBuffer> buffer = MirroredBuffer::Create(64 << 10);
//   if (!buffer.ok()) return buffer.error();
//   ssize_t received = recv(socket, buffer->WriteSpan().data(), buffer->WriteSpan().size(), 0);
//   if (received > 0) buffer->CommitWrite(received);
//   buffer->CommitRead(Parse(buffer->ReadSpan()));
//
// Ownership: the buffer owns its memory. Spans of the memory are invalid once it is destroyed.
// Threads: one at a time.
// Fork: as for MirroredRegion.
// Cost: creation and destruction enter the kernel. No other function enters it, allocates
// or copies.
#ifndef IORING_BUFFER_MIRRORED_BUFFER_H_
#define IORING_BUFFER_MIRRORED_BUFFER_H_

// First, before code that would fail without it and not say why.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#include <cassert>
#include <cstddef>
#include <span>
#include <utility>

#include "buffer/circular_positions.h"
#include "buffer/lifetime_bound.h"
#include "buffer/map_result.h"
#include "buffer/mirrored_region.h"

namespace ioring {

class MirroredBuffer {
 public:
  // Creates an empty buffer, which can hold `capacity_bytes` bytes.
  // Requires: `capacity_bytes` is a power of two and a multiple of MirrorGranularity(). Otherwise
  // kInvalidArgument is returned.
  // Errors: as for MirroredRegion::Create.
  static MapResult<MirroredBuffer> Create(size_t capacity_bytes);

  // A moved-from buffer may only be destroyed or assigned to.
  MirroredBuffer(MirroredBuffer&&) noexcept = default;
  MirroredBuffer& operator=(MirroredBuffer&&) noexcept = default;

  size_t capacity() const { return positions_.capacity(); }
  const CircularPositions& positions() const { return positions_; }

  // Returns all bytes that were written and not yet read, oldest first. May be empty.
  std::span<const std::byte> ReadSpan() const IORING_LIFETIME_BOUND {
    return {data() + positions_.read_offset(), positions_.readable()};
  }
  // Returns all free space. It is empty when the buffer is full.
  std::span<std::byte> WriteSpan() IORING_LIFETIME_BOUND {
    return {data() + positions_.write_offset(), positions_.writable()};
  }

  // Makes the first `count` bytes of WriteSpan() contents.
  // Requires: `count` is at most WriteSpan().size(), checked in every build.
  void CommitWrite(size_t count) { positions_.CommitWrite(count); }
  // Removes the first `count` bytes of ReadSpan() from the contents.
  // Requires: `count` is at most ReadSpan().size(), checked in every build.
  void CommitRead(size_t count) { positions_.CommitRead(count); }

  // Removes all contents.
  void Clear() { positions_.Reset(); }

 private:
  explicit MirroredBuffer(MirroredRegion region)
      : region_(std::move(region)), positions_(region_.size_bytes()) {}

  std::byte* data() const {
    assert(region_.count() != 0 && "a moved-from MirroredBuffer is used");
    return region_.memory().data();
  }

  MirroredRegion region_;
  CircularPositions positions_;
};

}  // namespace ioring

#endif  // IORING_BUFFER_MIRRORED_BUFFER_H_
