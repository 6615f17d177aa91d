#include "ring/completion_queue.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

Completion Plain(uint64_t token) { return {.token = {token}, .result = 1}; }

Completion WithBuffer(uint64_t token) { return {.token = {token}, .result = 1, .flags = kBuffer}; }

ManagedBuffer Buffer(uint32_t number) {
  static std::array<std::byte, 64> memory;
  return {.data = &memory[number], .size = 1, .group_index = 0, .buffer = number};
}

TEST(CompletionQueueTest, StartsEmpty) {
  CompletionQueue queue(8);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.space(), 8u);
  EXPECT_EQ(queue.capacity(), 8u);
  EXPECT_TRUE(queue.View().empty());
}

TEST(CompletionQueueTest, GivesOldestFirstAndWhole) {
  CompletionQueue queue(4);
  queue.Push({.token = {7}, .result = ToResult(Error::kBusy), .flags = kMore | 5u << 16});
  queue.Push(Plain(8));
  const std::span<const Completion> view = queue.View();
  ASSERT_EQ(view.size(), 2u);
  EXPECT_EQ(view[0].token, Token{7});
  EXPECT_EQ(view[0].error(), Error::kBusy);
  EXPECT_TRUE(view[0].more());
  EXPECT_EQ(view[0].extra(), 5u);
  EXPECT_EQ(view[1].token, Token{8});
}

TEST(CompletionQueueTest, FillsToItsCapacity) {
  CompletionQueue queue(4);
  for (uint64_t i = 0; i < 4; ++i) queue.Push(Plain(i));
  EXPECT_EQ(queue.space(), 0u);
  EXPECT_EQ(queue.View().size(), 4u);
}

TEST(CompletionQueueTest, AQueueOfOne) {
  CompletionQueue queue(1);
  for (uint64_t i = 0; i < 3; ++i) {
    queue.Push(Plain(i));
    ASSERT_EQ(queue.View().size(), 1u);
    EXPECT_EQ(queue.View()[0].token, Token{i});
    queue.Advance(1);
  }
}

TEST(CompletionQueueTest, ViewEndsAtTheWrapAndTheRestFollows) {
  CompletionQueue queue(4);
  for (uint64_t i = 0; i < 3; ++i) queue.Push(Plain(i));
  EXPECT_EQ(queue.View().size(), 3u);
  queue.Advance(3);
  for (uint64_t i = 3; i < 7; ++i) queue.Push(Plain(i));
  ASSERT_EQ(queue.View().size(), 1u);
  EXPECT_EQ(queue.View()[0].token, Token{3});
  queue.Advance(1);
  const std::span<const Completion> rest = queue.View();
  ASSERT_EQ(rest.size(), 3u);
  EXPECT_EQ(rest[0].token, Token{4});
  EXPECT_EQ(rest[2].token, Token{6});
}

TEST(CompletionQueueTest, EveryOneComesOnceInOrderOverManyWraps) {
  CompletionQueue queue(8);
  uint64_t pushed = 0;
  uint64_t taken = 0;
  while (taken < 1000) {
    for (uint64_t i = 0; i < 1 + pushed % 5 && queue.space() > 0; ++i) queue.Push(Plain(pushed++));
    const std::span<const Completion> view = queue.View();
    const size_t count = 1 + taken % view.size();
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(view[i].token, Token{taken++});
    queue.Advance(count);
    ASSERT_EQ(queue.size(), pushed - taken);
    ASSERT_EQ(queue.size() + queue.space(), queue.capacity());
  }
}

TEST(CompletionQueueTest, PushingLeavesAViewInUseAsItIs) {
  CompletionQueue queue(4);
  queue.Push(Plain(1));
  const std::span<const Completion> view = queue.View();
  queue.Push(Plain(2));
  EXPECT_EQ(view[0].token, Token{1});
  queue.Advance(view.size());
  EXPECT_EQ(queue.size(), 1u);
}

TEST(CompletionQueueTest, AdvancesInPieces) {
  CompletionQueue queue(4);
  for (uint64_t i = 0; i < 3; ++i) queue.Push(Plain(i));
  EXPECT_EQ(queue.View().size(), 3u);
  queue.Advance(1);
  queue.Advance(0);
  queue.Advance(2);
  EXPECT_TRUE(queue.empty());
}

TEST(CompletionQueueTest, KnowsWhetherTheMarkedOneWasTaken) {
  CompletionQueue queue(4);
  EXPECT_FALSE(queue.MarkedWaits());
  for (int round = 0; round < 5; ++round) {
    queue.Push(Completion{Token{1}, 0, 0});
    queue.Push(Completion{Token{2}, 0, 0});
    queue.MarkLast();
    queue.Push(Completion{Token{3}, 0, 0});
    EXPECT_TRUE(queue.MarkedWaits());
    for (const bool waits : {true, false, false}) {
      ASSERT_FALSE(queue.View().empty());
      queue.Advance(1);
      EXPECT_EQ(queue.MarkedWaits(), waits);
    }
  }
}

TEST(CompletionQueueTest, TakesTheBufferOfEachCompletion) {
  CompletionQueue queue(4);
  queue.Push(WithBuffer(1), Buffer(11));
  queue.Push(Plain(2));
  queue.Push(WithBuffer(3), Buffer(33));
  const std::span<const Completion> view = queue.View();
  EXPECT_EQ(queue.TakeBuffer(view[2]).buffer, 33u);
  const ManagedBuffer first = queue.TakeBuffer(view[0]);
  EXPECT_EQ(first.buffer, 11u);
  EXPECT_EQ(first.data, Buffer(11).data);
  EXPECT_EQ(first.size, 1u);
}

TEST(CompletionQueueTest, TakesBuffersAfterTheWrapAndFromReusedSlots) {
  CompletionQueue queue(2);
  for (uint32_t i = 0; i < 7; ++i) {
    queue.Push(WithBuffer(i), Buffer(i));
    EXPECT_EQ(queue.TakeBuffer(queue.View()[0]).buffer, i);
    queue.Advance(1);
  }
}

TEST(CompletionQueueTest, TakesABufferOfWhatIsLeftOfAView) {
  CompletionQueue queue(4);
  queue.Push(Plain(1));
  queue.Push(WithBuffer(2), Buffer(22));
  const std::span<const Completion> view = queue.View();
  queue.Advance(1);
  EXPECT_EQ(queue.TakeBuffer(view[1]).buffer, 22u);
}

TEST(CompletionQueueTest, TakesTheBufferOfACopy) {
  CompletionQueue queue(4);
  for (uint64_t i = 0; i < 3; ++i) queue.Push(Plain(i));
  EXPECT_EQ(queue.View().size(), 3u);
  queue.Advance(2);
  queue.Push(WithBuffer(7), Buffer(17));
  // The same but for its number.
  queue.Push(WithBuffer(7), Buffer(18));
  EXPECT_EQ(queue.View().size(), 2u);
  const Completion first = queue.View()[1];
  EXPECT_EQ(queue.TakeBuffer(first).buffer, 17u);
  queue.Advance(2);
  const Completion second = queue.View()[0];
  EXPECT_EQ(queue.TakeBuffer(second).buffer, 18u);
}

// Numbers have 16 bits: a view is no longer than they tell apart, wherever it begins.
TEST(CompletionQueueTest, TakesBuffersOfCopiesInALargeQueueThatWraps) {
  constexpr uint32_t kViewMax = 1u << 16;
  constexpr uint32_t kCapacity = 4 * kViewMax;
  CompletionQueue queue(kCapacity);
  uint64_t pushed = 0;
  uint64_t taken = 0;
  // The first view of a round begins elsewhere each time.
  for (const uint32_t count : {kCapacity - 5, kCapacity, kViewMax + 3, kCapacity - 1}) {
    for (uint32_t i = 0; i < count; ++i, ++pushed) {
      queue.Push(WithBuffer(pushed % 2), Buffer(static_cast<uint32_t>(pushed % 61)));
    }
    while (!queue.empty()) {
      const std::span<const Completion> view = queue.View();
      ASSERT_LE(view.size(), kViewMax);
      for (const Completion completion : view) {
        ASSERT_EQ(completion.token, Token{taken % 2});
        ASSERT_EQ(queue.TakeBuffer(completion).buffer, taken % 61);
        ++taken;
      }
      queue.Advance(view.size());
    }
  }
  EXPECT_EQ(taken, pushed);
}

// An observer sees each completion once, by its number, also after it was advanced over.
TEST(CompletionQueueTest, ShowsWhatWasPushedByItsNumber) {
  CompletionQueue queue(4);
  uint32_t seen = queue.pushed();
  uint64_t observed = 0;
  for (uint64_t pushed = 0; pushed < 10;) {
    for (int i = 0; i < 3; ++i, ++pushed) {
      if (pushed % 2 == 0) {
        queue.Push(Plain(pushed));
      } else {
        queue.Push(WithBuffer(pushed), Buffer(static_cast<uint32_t>(pushed)));
      }
    }
    for (; seen != queue.pushed(); ++seen, ++observed) {
      ASSERT_EQ(queue.At(seen).token, Token{observed});
      if (observed % 2 != 0) {
        ASSERT_EQ(queue.BufferAt(seen).buffer, observed);
      }
    }
    while (!queue.empty()) {
      const Completion& first = queue.View()[0];
      if ((first.flags & kBuffer) != 0) queue.TakeBuffer(first);
      queue.Advance(1);
    }
    ASSERT_EQ(queue.At(seen - 1).token, Token{observed - 1});
  }
  EXPECT_EQ(observed, 12u);
}

using CompletionQueueDeathTest = ::testing::Test;

TEST(CompletionQueueDeathTest, CapacityIsAPowerOfTwo) {
  EXPECT_DEATH(CompletionQueue(6), "a power of two, not 6");
  EXPECT_DEATH(CompletionQueue(0), "a power of two, not 0");
}

TEST(CompletionQueueDeathTest, NeverOverwrites) {
  CompletionQueue queue(2);
  queue.Push(Plain(1));
  queue.Push(Plain(2));
  EXPECT_DEATH(queue.Push(Plain(3)), "queue is full: a completion would be lost");
}

TEST(CompletionQueueDeathTest, AdvanceStaysWithinTheView) {
  CompletionQueue queue(4);
  queue.Push(Plain(1));
  EXPECT_DEATH(queue.Advance(1), "advanced over 1 completions, of which 1 were not in the last");
  EXPECT_EQ(queue.View().size(), 1u);
  queue.Push(Plain(2));
  EXPECT_DEATH(queue.Advance(2), "advanced over 2 completions, of which 1 were not in the last");
  queue.Advance(1);
  EXPECT_DEATH(queue.Advance(1), "advanced over 1 completions, of which 1 were not in the last");
}

constexpr char kNotInTheView[] =
    "not in the current view: it was advanced over before its buffer was taken";

TEST(CompletionQueueDeathTest, TakeBufferWantsOneThatWasNotAdvancedOver) {
  CompletionQueue queue(4);
  queue.Push(WithBuffer(1), Buffer(1));
  const Completion& original = queue.View()[0];
  const Completion copy = original;
  queue.TakeBuffer(copy);
  queue.Advance(1);
  EXPECT_DEATH(queue.TakeBuffer(original), kNotInTheView);
  EXPECT_DEATH(queue.TakeBuffer(copy), kNotInTheView);
  // Nor where its slot is in use again.
  for (uint64_t i = 0; i < 4; ++i) {
    queue.Push(WithBuffer(1), Buffer(1));
    queue.TakeBuffer(queue.View()[0]);
    if (i < 3) queue.Advance(1);
  }
  EXPECT_DEATH(queue.TakeBuffer(copy), kNotInTheView);
}

TEST(CompletionQueueDeathTest, TakeBufferWantsWhatIsStored) {
  CompletionQueue queue(4);
  queue.Push(WithBuffer(1), Buffer(1));
  const Completion completion = queue.View()[0];
  Completion other = completion;
  other.token = Token{2};
  EXPECT_DEATH(queue.TakeBuffer(other), kNotInTheView);
  other = completion;
  other.result = 2;
  EXPECT_DEATH(queue.TakeBuffer(other), kNotInTheView);
  other = completion;
  other.flags |= kMore;
  EXPECT_DEATH(queue.TakeBuffer(other), kNotInTheView);
}

TEST(CompletionQueueDeathTest, TakeBufferWantsOneThatWasSeen) {
  CompletionQueue queue(4);
  queue.Push(Plain(1));
  const std::span<const Completion> view = queue.View();
  queue.Push(WithBuffer(2), Buffer(2));
  EXPECT_DEATH(queue.TakeBuffer(*(view.data() + 1)), kNotInTheView);
}

TEST(CompletionQueueDeathTest, TakeBufferOnlyOnce) {
  CompletionQueue queue(4);
  queue.Push(WithBuffer(1), Buffer(1));
  const Completion copy = queue.View()[0];
  queue.TakeBuffer(copy);
  EXPECT_DEATH(queue.TakeBuffer(copy), "was taken before");
  EXPECT_DEATH(queue.TakeBuffer(queue.View()[0]), "was taken before");
}

TEST(CompletionQueueDeathTest, TakeBufferWantsABuffer) {
  CompletionQueue queue(4);
  queue.Push(Plain(1));
  EXPECT_DEATH(queue.TakeBuffer(queue.View()[0]), "has no kBuffer flag");
}

#ifndef NDEBUG
TEST(CompletionQueueDeathTest, AtWantsOneThatIsKept) {
  CompletionQueue queue(2);
  EXPECT_DEATH(queue.At(0), "completion 0 was never pushed, or its place is in use again");
  for (uint64_t i = 0; i < 3; ++i) {
    queue.Push(Plain(i));
    queue.View();
    queue.Advance(1);
  }
  EXPECT_EQ(queue.At(1).token, Token{1});
  EXPECT_DEATH(queue.At(0), "completion 0 was never pushed, or its place is in use again");
  EXPECT_DEATH(queue.At(3), "completion 3 was never pushed");
}

TEST(CompletionQueueDeathTest, BufferAtWantsOneThatWasNotTaken) {
  CompletionQueue queue(2);
  queue.Push(Plain(1));
  EXPECT_DEATH(queue.BufferAt(0), "has no buffer");
  queue.Push(WithBuffer(2), Buffer(2));
  EXPECT_EQ(queue.BufferAt(1).buffer, 2u);
  queue.TakeBuffer(queue.View()[1]);
  EXPECT_DEATH(queue.BufferAt(1), "was taken");
}

TEST(CompletionQueueDeathTest, AdvanceNoticesABufferThatWasNotTaken) {
  CompletionQueue queue(4);
  queue.Push(WithBuffer(1), Buffer(1));
  EXPECT_EQ(queue.View().size(), 1u);
  EXPECT_DEATH(queue.Advance(1), "without taking its buffer");
}
#endif

}  // namespace
}  // namespace ioring
