#include "echo/load/operation_batch.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

using Numbers = std::vector<uint32_t>;

// Prepares as many as it may.
Numbers PrepareAll(OperationBatch& batch) {
  Numbers numbers;
  while (batch.HasNext()) {
    numbers.push_back(batch.next());
    batch.OnPrepared();
  }
  return numbers;
}

TEST(OperationBatchTest, NumbersEachOnce) {
  OperationBatch batch(4, 10);
  EXPECT_EQ(PrepareAll(batch), Numbers({0, 1, 2, 3}));
  EXPECT_EQ(PrepareAll(batch), Numbers());
}

TEST(OperationBatchTest, NoMoreInFlightThanAllowed) {
  OperationBatch batch(5, 2);
  EXPECT_EQ(PrepareAll(batch), Numbers({0, 1}));
  batch.OnEnded();
  EXPECT_EQ(PrepareAll(batch), Numbers({2}));
  batch.OnEnded();
  batch.OnEnded();
  EXPECT_EQ(PrepareAll(batch), Numbers({3, 4}));
}

TEST(OperationBatchTest, OneThatCouldNotBePreparedIsNext) {
  OperationBatch batch(2, 2);
  batch.OnPrepared();
  EXPECT_EQ(batch.next(), 1u);
  EXPECT_TRUE(batch.HasNext());
  EXPECT_EQ(PrepareAll(batch), Numbers({1}));
}

TEST(OperationBatchTest, IsOverWhenAllHaveEnded) {
  OperationBatch batch(2, 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(batch.IsOver());
    batch.OnPrepared();
    EXPECT_FALSE(batch.IsOver());
    batch.OnEnded();
  }
  EXPECT_TRUE(batch.IsOver());
  EXPECT_FALSE(batch.HasNext());
}

TEST(OperationBatchTest, WithNoOperationsItIsOver) { EXPECT_TRUE(OperationBatch(0, 1).IsOver()); }

}  // namespace
}  // namespace ioring
