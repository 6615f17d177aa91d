#include "echo/load/retry_list.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

using Indexes = std::vector<uint32_t>;

Indexes RetryAll(RetryList& list) {
  Indexes indexes;
  list.Retry([&](uint32_t index) { indexes.push_back(index); });
  return indexes;
}

TEST(RetryListTest, IsEmptyAtFirst) {
  RetryList list(4);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(RetryAll(list), Indexes());
}

TEST(RetryListTest, RetriesEachOnceInTheOrderOfAdding) {
  RetryList list(4);
  for (const uint32_t index : {3u, 0u, 3u, 2u, 0u}) list.Add(index);
  EXPECT_FALSE(list.empty());
  EXPECT_EQ(RetryAll(list), Indexes({3, 0, 2}));
  EXPECT_TRUE(list.empty());
}

TEST(RetryListTest, OneCanBeAddedAgainAfterItsRetry) {
  RetryList list(4);
  for (int i = 0; i < 3; ++i) {
    list.Add(1);
    EXPECT_EQ(RetryAll(list), Indexes({1})) << i;
  }
}

TEST(RetryListTest, AnAddInARetryIsForTheNextOne) {
  RetryList list(2);
  list.Add(0);
  list.Add(1);
  int calls = 0;
  list.Retry([&](uint32_t index) {
    ++calls;
    list.Add(index);
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(RetryAll(list), Indexes({0, 1}));
}

}  // namespace
}  // namespace ioring
