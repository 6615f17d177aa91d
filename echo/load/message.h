// StreamPattern: what a load generator's connection sends, and so what must come back.
//
// Every byte is a function of the connection and of its position in the stream, so that an
// echo which loses, repeats, moves or mixes up bytes is noticed at the first wrong one. The
// stream is a row of 64-bit words, each a multiple of an odd constant, xor the connection's
// key: no two positions within 2^67 bytes share a word, and compilers vectorise it.
//
// A value. No allocation, no system call. Cost: a few bytes per cycle at unaligned ends, a
// fraction of a cycle per byte between them.
#ifndef IORING_ECHO_LOAD_MESSAGE_H_
#define IORING_ECHO_LOAD_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ioring {

class StreamPattern {
 public:
  // Streams of different numbers differ nearly everywhere.
  explicit StreamPattern(uint64_t stream_number);

  // The byte at `position` (bytes from the stream's start).
  std::byte At(uint64_t position) const;
  // Writes the stream's bytes from `position` on to `memory`.
  void Fill(uint64_t position, std::span<std::byte> memory) const;
  // Where `bytes`, which should be the stream's from `position` on, are first wrong: an index
  // into `bytes`. Nothing where they are right.
  std::optional<size_t> FirstMismatch(uint64_t position, std::span<const std::byte> bytes) const;

 private:
  // The first word of the stream that `position` is a part of.
  uint64_t WordAt(uint64_t position) const;
  std::optional<size_t> FirstMismatchByByte(uint64_t position,
                                            std::span<const std::byte> bytes) const;

  uint64_t key_;
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_MESSAGE_H_
