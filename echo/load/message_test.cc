#include "echo/load/message.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

std::vector<std::byte> Stream(const StreamPattern& pattern, uint64_t position, size_t size) {
  std::vector<std::byte> bytes(size);
  pattern.Fill(position, bytes);
  return bytes;
}

TEST(StreamPatternTest, FillAgreesWithAtWhereverItBeginsAndEnds) {
  const StreamPattern pattern(7);
  for (uint64_t position : {0u, 1u, 7u, 8u, 63u, 64u, 1'000'001u}) {
    for (size_t size = 0; size < 200; ++size) {
      const std::vector<std::byte> bytes = Stream(pattern, position, size);
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(bytes[i], pattern.At(position + i));
      EXPECT_EQ(pattern.FirstMismatch(position, bytes), std::nullopt);
    }
  }
}

TEST(StreamPatternTest, FillWritesNothingBeyondTheSpan) {
  const StreamPattern pattern(7);
  std::vector<std::byte> bytes(300, std::byte{0xEE});
  pattern.Fill(3, std::span(bytes).subspan(100, 100));
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.begin() + 100,
                          [](std::byte byte) { return byte == std::byte{0xEE}; }));
  EXPECT_TRUE(std::all_of(bytes.begin() + 200, bytes.end(),
                          [](std::byte byte) { return byte == std::byte{0xEE}; }));
}

TEST(StreamPatternTest, EveryWrongByteIsFoundWhereItIs) {
  const StreamPattern pattern(1);
  constexpr uint64_t kPosition = 12'341;
  std::vector<std::byte> bytes = Stream(pattern, kPosition, 300);
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      const std::byte right = bytes[i];
      bytes[i] ^= std::byte{1} << bit;
      ASSERT_EQ(pattern.FirstMismatch(kPosition, bytes), i);
      bytes[i] = right;
    }
  }
}

TEST(StreamPatternTest, TheFirstOfSeveralWrongBytesIsFound) {
  const StreamPattern pattern(1);
  std::vector<std::byte> bytes = Stream(pattern, 0, 300);
  for (size_t i : {290u, 201u, 200u, 9u}) {
    bytes[i] ^= std::byte{0x10};
    EXPECT_EQ(pattern.FirstMismatch(0, bytes), i);
  }
}

TEST(StreamPatternTest, ShiftedBytesAreNoticed) {
  const StreamPattern pattern(5);
  for (uint64_t shift : {1u, 2u, 4u, 8u, 16u, 64u, 256u, 4'096u, 65'536u, 1u << 30}) {
    const std::vector<std::byte> bytes = Stream(pattern, shift, 64);
    ASSERT_TRUE(pattern.FirstMismatch(0, bytes).has_value()) << shift;
    EXPECT_LT(*pattern.FirstMismatch(0, bytes), 8u) << shift;
  }
}

TEST(StreamPatternTest, AnotherConnectionsBytesAreNoticed) {
  std::set<std::vector<std::byte>> starts;
  for (uint64_t number = 0; number < 10'000; ++number) {
    starts.insert(Stream(StreamPattern(number), 0, 8));
  }
  EXPECT_EQ(starts.size(), 10'000u);
}

TEST(StreamPatternTest, PositionsBeyondFourGigabytesDiffer) {
  const StreamPattern pattern(5);
  const std::vector<std::byte> bytes = Stream(pattern, uint64_t{1} << 32, 64);
  EXPECT_TRUE(pattern.FirstMismatch(0, bytes).has_value());
  EXPECT_EQ(pattern.FirstMismatch(uint64_t{1} << 32, bytes), std::nullopt);
}

}  // namespace
}  // namespace ioring
