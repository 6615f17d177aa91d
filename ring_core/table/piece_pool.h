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

  // Aligned for direct I/O.
  std::byte* Take() {
    if (free_.empty()) {
      return all_.emplace_back(std::make_unique_for_overwrite<Piece>())->bytes;
    }
    std::byte* piece = free_.back();
    free_.pop_back();
    return piece;
  }
  void Give(std::byte* piece) { free_.push_back(piece); }

 private:
  struct alignas(4096) Piece {
    std::byte bytes[kPieceBytes];  // not set
  };

  std::vector<std::unique_ptr<Piece>> all_;
  std::vector<std::byte*> free_;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_PIECE_POOL_H_
