#include "buffer/mirrored_buffer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <span>
#include <utility>

#include "buffer/map_result.h"
#include "buffer/mirrored_region.h"
#include "gtest/gtest.h"
#include "process/testing/allocation_counter.h"

namespace ioring {
namespace {

MirroredBuffer Make() {
  MapResult<MirroredBuffer> buffer = MirroredBuffer::Create(MirrorGranularity());
  EXPECT_TRUE(buffer.ok()) << buffer.error().message();
  return *std::move(buffer);
}

// A stream of bytes in which every position has its own neighbourhood.
std::byte StreamByte(uint64_t position) {
  return static_cast<std::byte>((position * 2654435761u) >> 24 & 0xff);
}

void Write(MirroredBuffer& buffer, size_t count) {
  const uint64_t start = buffer.positions().tail();
  const std::span<std::byte> span = buffer.WriteSpan();
  ASSERT_LE(count, span.size());
  for (size_t i = 0; i < count; ++i) span[i] = StreamByte(start + i);
  buffer.CommitWrite(count);
}

void ReadAndVerify(MirroredBuffer& buffer, size_t count) {
  const uint64_t start = buffer.positions().head();
  const std::span<const std::byte> span = buffer.ReadSpan();
  ASSERT_LE(count, span.size());
  for (size_t i = 0; i < count; ++i) {
    ASSERT_EQ(span[i], StreamByte(start + i)) << "position " << start + i;
  }
  buffer.CommitRead(count);
}

TEST(MirroredBufferTest, StartsEmpty) {
  MirroredBuffer buffer = Make();
  EXPECT_EQ(buffer.capacity(), MirrorGranularity());
  EXPECT_TRUE(buffer.ReadSpan().empty());
  EXPECT_EQ(buffer.WriteSpan().size(), buffer.capacity());
}

TEST(MirroredBufferTest, BadSizesAreRefused) {
  const auto code = [](size_t bytes) { return MirroredBuffer::Create(bytes).error().code(); };
  EXPECT_EQ(code(0), MapErrorCode::kInvalidArgument);
  EXPECT_EQ(code(MirrorGranularity() + 1), MapErrorCode::kInvalidArgument);
}

TEST(MirroredBufferTest, AFullBufferReadsBackInOneSpanAtEveryAlignment) {
  MirroredBuffer buffer = Make();
  // Where the granularity is 64 KiB, each 17th alignment: odd, so that words are met in every way.
  const size_t step = buffer.capacity() / 4096 | 1;
  for (size_t offset = 0; offset <= buffer.capacity(); offset += step) {
    ASSERT_EQ(buffer.positions().write_offset(), offset % buffer.capacity());
    ASSERT_EQ(buffer.WriteSpan().size(), buffer.capacity());
    std::memset(buffer.WriteSpan().data(), static_cast<int>(offset & 0xff), buffer.capacity());
    // The first and the last byte tell where the span begins and that it is whole.
    buffer.WriteSpan().front() = std::byte{0xa1};
    buffer.WriteSpan().back() = std::byte{0xb2};
    buffer.CommitWrite(buffer.capacity());
    ASSERT_TRUE(buffer.WriteSpan().empty());

    const std::span<const std::byte> contents = buffer.ReadSpan();
    ASSERT_EQ(contents.size(), buffer.capacity());
    ASSERT_EQ(contents.front(), std::byte{0xa1});
    ASSERT_EQ(contents.back(), std::byte{0xb2});
    ASSERT_EQ(
        std::count(contents.begin() + 1, contents.end() - 1, static_cast<std::byte>(offset & 0xff)),
        static_cast<ptrdiff_t>(buffer.capacity() - 2));
    buffer.CommitRead(buffer.capacity());
    ASSERT_TRUE(buffer.ReadSpan().empty());
    buffer.CommitWrite(step);
    buffer.CommitRead(step);
  }
}

TEST(MirroredBufferTest, AMessageWrapsAroundTheSeamAtEveryAlignment) {
  MirroredBuffer buffer = Make();
  constexpr size_t kMessageBytes = 61;  // odd, so that every offset is met
  for (size_t i = 0; i < 2 * buffer.capacity(); ++i) {
    Write(buffer, kMessageBytes);
    ReadAndVerify(buffer, kMessageBytes);
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(MirroredBufferTest, ReceivesWhileItStillHoldsWhatIsToBeSent) {
  MirroredBuffer buffer = Make();
  const size_t half = buffer.capacity() / 2;
  Write(buffer, half);
  for (int i = 0; i < 1000; ++i) {
    const std::span<const std::byte> being_sent = buffer.ReadSpan();
    ASSERT_EQ(being_sent.size(), half);
    Write(buffer, 999);
    ASSERT_EQ(buffer.ReadSpan().data(), being_sent.data()) << "writing moved what is being read";
    ReadAndVerify(buffer, 999);
    ASSERT_FALSE(HasFatalFailure());
  }
}

TEST(MirroredBufferTest, BehavesAsAQueueOfBytes) {
  constexpr uint32_t kSeed = 20240722;
  std::mt19937 random(kSeed);
  MirroredBuffer buffer = Make();
  std::deque<std::byte> model;
  const auto draw = [&](size_t limit) {
    // Often all of it or nothing, so that full and empty are met at many offsets.
    const uint32_t choice = random() % 8;
    if (choice == 0) return limit;
    if (choice == 1) return size_t{0};
    return limit == 0 ? size_t{0} : random() % (limit + 1);
  };
  int full = 0;
  int empty = 0;
  for (int step = 0; step < 3000; ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << ", step " << step);
    const size_t write = draw(buffer.WriteSpan().size());
    for (size_t i = 0; i < write; ++i) {
      const std::byte byte = static_cast<std::byte>(random() & 0xff);
      buffer.WriteSpan()[i] = byte;
      model.push_back(byte);
    }
    buffer.CommitWrite(write);
    full += buffer.WriteSpan().empty() ? 1 : 0;
    ASSERT_EQ(buffer.ReadSpan().size(), model.size());
    ASSERT_EQ(buffer.WriteSpan().size(), buffer.capacity() - model.size());
    ASSERT_TRUE(std::equal(model.begin(), model.end(), buffer.ReadSpan().begin()));
    const size_t read = draw(model.size());
    buffer.CommitRead(read);
    model.erase(model.begin(), model.begin() + static_cast<ptrdiff_t>(read));
    empty += buffer.ReadSpan().empty() ? 1 : 0;
  }
  EXPECT_GT(full, 100);
  EXPECT_GT(empty, 100);
}

TEST(MirroredBufferTest, ClearForgetsTheContents) {
  MirroredBuffer buffer = Make();
  Write(buffer, 100);
  buffer.Clear();
  EXPECT_TRUE(buffer.ReadSpan().empty());
  EXPECT_EQ(buffer.WriteSpan().size(), buffer.capacity());
}

TEST(MirroredBufferTest, MovingCarriesContentsAndPositions) {
  MirroredBuffer first = Make();
  Write(first, first.capacity() - 10);
  ReadAndVerify(first, first.capacity() - 20);
  Write(first, 50);
  MirroredBuffer second = std::move(first);
  EXPECT_EQ(second.ReadSpan().size(), 60u);
  ReadAndVerify(second, 60);
  first = Make();
  Write(first, 10);
  ReadAndVerify(first, 10);
}

TEST(MirroredBufferTest, AllocatesNothingOnceMade) {
  MirroredBuffer buffer = Make();
  const AllocationCounter allocations;
  for (int i = 0; i < 1000; ++i) {
    Write(buffer, 1000);
    ReadAndVerify(buffer, 1000);
  }
  const uint64_t count = allocations.count();
  EXPECT_EQ(count, 0u);
  // The counter counts: a deque allocates.
  const std::deque<int> deque(1000);
  EXPECT_GT(allocations.count(), count);
}

TEST(MirroredBufferDeathTest, CommittingTooMuchIsCaught) {
  MirroredBuffer buffer = Make();
  EXPECT_DEATH(buffer.CommitWrite(buffer.capacity() + 1), "than were writable");
  EXPECT_DEATH(buffer.CommitRead(1), "than were readable");
}

}  // namespace
}  // namespace ioring
