// Bytes whose values tell their place in a stream. For tests.
#ifndef IORING_RING_CONFORMANCE_PATTERN_H_
#define IORING_RING_CONFORMANCE_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "gtest/gtest.h"

namespace ioring {

// Streams of different numbers differ, and so do all places within 65,521 bytes of a
// stream: what is lost, doubled, swapped or another's does not match.
class Pattern {
 public:
  explicit Pattern(uint32_t stream);

  // Writes the stream's bytes from `offset` on.
  void Fill(std::span<std::byte> memory, uint64_t offset) const;
  // Says where the bytes are not the stream's from `offset` on.
  testing::AssertionResult Matches(std::span<const std::byte> memory, uint64_t offset) const;

 private:
  uint32_t start_;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_PATTERN_H_
