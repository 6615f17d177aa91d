#include "ring_core/table/piece_pool.h"

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(PiecePoolTest, GivesOutEachPieceOnceAndUsesThemAgain) {
  PiecePool pool;
  std::byte* first = pool.Take();
  std::byte* second = pool.Take();
  EXPECT_NE(first, second);
  pool.Give(first);
  EXPECT_EQ(pool.Take(), first);
  EXPECT_NE(pool.Take(), second);
}

TEST(PiecePoolTest, PiecesAreAlignedForDirectIo) {
  PiecePool pool;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pool.Take()) % 4096, 0u);
  }
}

}  // namespace
}  // namespace ioring
