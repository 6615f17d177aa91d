// PiecePool: memory for the pieces of files on their way to connections.
//
// Allocates only where more pieces are taken than ever before, and keeps them until its end. One
// thread's.
#ifndef IORING_RING_CORE_TABLE_PIECE_POOL_H_
#define IORING_RING_CORE_TABLE_PIECE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ioring {

class PiecePool {
 public:
  // In the page cache, pieces of this size are copied faster than larger ones.
  static constexpr uint32_t kPieceBytes = 64 << 10;

  // The bytes to read for a piece at `offset` where `left` are to be sent. For direct I/O they are
  // whole blocks. No range ends at 2^63 or behind it.
  static constexpr uint32_t BytesToRead(uint64_t offset, uint32_t left) {
    const uint32_t bytes =
        left >= kPieceBytes ? kPieceBytes : (left + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    constexpr uint64_t kEnd = uint64_t{1} << 63;
    return offset < kEnd && bytes > kEnd - 1 - offset ? static_cast<uint32_t>(kEnd - 1 - offset)
                                                      : bytes;
  }

  // Aligned for direct I/O.
  std::byte* Take() {
    if (free_.empty()) {
      std::byte* piece = all_.emplace_back(std::make_unique_for_overwrite<Piece>())->bytes;
      free_.reserve(all_.capacity());  // so that Give allocates nothing
      return piece;
    }
    std::byte* piece = free_.back();
    free_.pop_back();
    return piece;
  }
  void Give(std::byte* piece) { free_.push_back(piece); }

 private:
  static constexpr uint32_t kBlockBytes = 4096;

  struct alignas(kBlockBytes) Piece {
    std::byte bytes[kPieceBytes];  // not set
  };

  std::vector<std::unique_ptr<Piece>> all_;
  std::vector<std::byte*> free_;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_PIECE_POOL_H_
