// Managed reads of files.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// A managed read brings the file's bytes; at the end of the file, 0 and no buffer.
TEST_P(RingConformance, FileManagedReadsToEnd) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "hello");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(2, 4);
  EXPECT_EQ(tree.ReadManaged(file, 0, group.id).bytes, "hell");
  const Arrival read = tree.ReadManaged(file, 1, group.id);
  EXPECT_EQ(read.result(), 4);
  EXPECT_EQ(read.bytes, "ello");
  EXPECT_EQ(tree.ReadManaged(file, 4, group.id).bytes, "o");
  for (int i = 0; i < 5; ++i) {
    for (const uint64_t offset : {uint64_t{5}, uint64_t{1} << 40}) {
      const Arrival end = tree.ReadManaged(file, offset, group.id);
      EXPECT_EQ(end.result(), 0);
      EXPECT_EQ(end.completion.flags & kBuffer, 0u);
    }
  }
  EXPECT_EQ(ring.FreeBuffers(group.id), 2u);
  EXPECT_EQ(tree.ReadManaged(file, 0, group.id).bytes, "hell");
  tree.Close(file);
}

// A read that fails keeps no buffer.
TEST_P(RingConformance, FileManagedErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "hello");
  const FileId reads = tree.Open("a");
  const FileId writes = tree.Open("a", {.access = FileOptions::Access::kWrite});
  const TestGroup group = ring.MakeGroup(2, 64);
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(tree.ReadManaged(writes, 0, group.id).ok());
    EXPECT_EQ(tree.ReadManaged(tree.directory(), 0, group.id).error(), Error::kIsDirectory);
  }
  EXPECT_EQ(ring.FreeBuffers(group.id), 2u);
  const BufferGroupId stale{group.id.index, group.id.generation + 1};
  EXPECT_EQ(tree.ReadManaged(reads, 0, stale).error(), Error::kBadId);
  EXPECT_EQ(tree.ReadManaged(reads, 0, BufferGroupId{}).error(), Error::kBadId);
  EXPECT_EQ(tree.ReadManaged(reads, 0, group.id).bytes, "hello");
  tree.Close(reads);
  tree.Close(writes);
}

// Several in flight fill a buffer each.
TEST_P(RingConformance, FileManagedSeveral) {
  constexpr size_t kBuffers = 8;
  constexpr size_t kBytes = 4096;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const Pattern pattern(64);
  const FileId file = tree.OpenNew("a");
  const std::span<std::byte> memory = ring.Memory(kBuffers * kBytes);
  pattern.Fill(memory, 0);
  EXPECT_EQ(ring.Await(tree.StartWrite(file, 0, memory)).result(),
            static_cast<int32_t>(memory.size()));
  const TestGroup group = ring.MakeGroup(kBuffers, kBytes);
  for (int round = 0; round < 3; ++round) {
    std::vector<Token> tokens;
    for (size_t i = 0; i < kBuffers; ++i) {
      tokens.push_back(tree.StartManaged(file, i * 3 % kBuffers * kBytes, group.id));
    }
    for (size_t i = 0; i < kBuffers; ++i) {
      const Arrival read = ring.Await(tokens[i]);
      EXPECT_EQ(read.result(), static_cast<int32_t>(kBytes));
      EXPECT_TRUE(pattern.Matches(AsBytes(read.bytes), i * 3 % kBuffers * kBytes));
    }
    EXPECT_EQ(ring.FreeBuffers(group.id), kBuffers);
  }
  tree.Close(file);
}

// kFail: without a buffer a read completes with kNoBuffers, and nothing is lost.
TEST_P(RingConformance, FileManagedExhaustedFails) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "0123456789");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(2, 4, ExhaustionPolicy::kFail);
  ring.HoldBuffers();
  const Arrival first = tree.ReadManaged(file, 0, group.id);
  const Arrival second = tree.ReadManaged(file, 4, group.id);
  EXPECT_EQ(tree.ReadManaged(file, 8, group.id).error(), Error::kNoBuffers);
  EXPECT_EQ(tree.ReadManaged(file, 8, group.id).error(), Error::kNoBuffers);
  EXPECT_EQ(AsText({second.buffer.data, second.buffer.size}), "4567");
  ring.ReturnBuffer(first.buffer);
  const Arrival third = tree.ReadManaged(file, 8, group.id);
  EXPECT_EQ(AsText({third.buffer.data, third.buffer.size}), "89");
  ring.ReturnBuffer(second.buffer);
  ring.ReturnBuffer(third.buffer);
  tree.Close(file);
}

// kWait: reads wait for buffers that come back, the first first.
TEST_P(RingConformance, FileManagedExhaustedWaits) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "0123456789");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(1, 4);
  ring.HoldBuffers();
  Arrival held = tree.ReadManaged(file, 0, group.id);
  ASSERT_TRUE(held.ok());
  std::vector<Token> waiting;
  for (const uint64_t offset : {4, 8, 1}) {
    waiting.push_back(tree.StartManaged(file, offset, group.id));
  }
  ring.Quiet();
  for (const char* bytes : {"4567", "89", "1234"}) {
    for (const Token token : waiting) EXPECT_FALSE(ring.HasArrived(token));
    ring.ReturnBuffer(std::exchange(held.buffer, {}));
    held = ring.Await(waiting.front());
    waiting.erase(waiting.begin());
    EXPECT_EQ(AsText({held.buffer.data, held.buffer.size}), bytes);
  }
  ring.ReturnBuffer(held.buffer);
  EXPECT_EQ(ring.FreeBuffers(group.id), 1u);
  tree.Close(file);
}

// A read at the end gives its buffer to the one that waits.
TEST_P(RingConformance, FileManagedEndMakesRoom) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "hello");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(1, 64);
  std::vector<Token> tokens;
  for (int i = 0; i < 20; ++i) {
    tokens.push_back(tree.StartManaged(file, i % 3 == 0 ? 0 : 1000, group.id));
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(ring.Await(tokens[i]).result(), i % 3 == 0 ? 5 : 0) << i;
  }
  EXPECT_EQ(ring.FreeBuffers(group.id), 1u);
  tree.Close(file);
}

// What waits for a buffer can be cancelled, has deadlines, and keeps its file and group.
TEST_P(RingConformance, FileManagedWaitEnds) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "hello");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(1, 64);
  ring.HoldBuffers();
  const Arrival held = tree.ReadManaged(file, 0, group.id);
  const Token canceled = tree.StartManaged(file, 0, group.id);
  const Token late = tree.StartManaged(file, 0, group.id);
  const Token last = tree.StartManaged(file, 2, group.id);
  ring.Quiet();
  EXPECT_EQ(ring.CloseFile(file).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ring.LedgerRing::UnregisterBufferGroup(group.id).code(),
            absl::StatusCode::kFailedPrecondition);
  const Token cancel = ring.StartCancel(canceled);
  EXPECT_EQ(ring.Await(canceled).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(cancel).result(), 0);
  const Token deadline = ring.Start(
      [&](Token token) { return ring.PrepareDeadline(late, std::chrono::milliseconds{5}, token); });
  EXPECT_EQ(ring.Await(late).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
  const Token close = ring.Start([&](Token token) { return ring.PrepareCloseFile(file, token); });
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(close));
  ring.ReturnBuffer(held.buffer);
  const Arrival end = ring.Await(last);
  EXPECT_EQ(AsText({end.buffer.data, end.buffer.size}), "llo");
  EXPECT_EQ(ring.Await(close).result(), 0);
  ring.ReturnBuffer(end.buffer);
}

// Buffers are written to another file from where they lie, and returned after that.
TEST_P(RingConformance, FileManagedCopies) {
  constexpr size_t kBytes = 100'000;
  constexpr size_t kBufferBytes = 4096;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const Pattern pattern(65);
  const FileId from = tree.OpenNew("from");
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  EXPECT_EQ(ring.Await(tree.StartWrite(from, 0, memory)).result(), static_cast<int32_t>(kBytes));
  const FileId to = tree.OpenNew("to");
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  ring.HoldBuffers();
  std::vector<std::pair<uint64_t, Token>> reads;
  for (uint64_t offset = 0; offset < kBytes; offset += kBufferBytes) {
    reads.emplace_back(offset, tree.StartManaged(from, offset, group.id));
  }
  for (const auto& [offset, token] : reads) {
    const Arrival read = ring.Await(token);
    ASSERT_TRUE(read.ok()) << ErrorName(read.error());
    const std::span<const std::byte> piece(read.buffer.data, read.buffer.size);
    EXPECT_EQ(ring.Await(tree.StartWrite(to, offset, piece)).result(), read.result());
    ring.ReturnBuffer(read.buffer);
  }
  const std::span<std::byte> copy = ring.Memory(kBytes + 1);
  EXPECT_EQ(ring.Await(tree.StartRead(to, 0, copy)).result(), static_cast<int32_t>(kBytes));
  EXPECT_TRUE(pattern.Matches(copy.first(kBytes), 0));
  tree.Close(from);
  tree.Close(to);
}

// One group serves receives and reads, in turn and at once.
TEST_P(RingConformance, FileManagedSharesGroup) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "from a file");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(2, 64);
  const Pair pair = ring.MakePair();
  for (int i = 0; i < 10; ++i) {
    SCOPED_TRACE(i);
    const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
    const Token read = tree.StartManaged(file, 5, group.id);
    EXPECT_EQ(ring.Send(pair.client, "from a peer").result(), 11);
    EXPECT_EQ(ring.Await(recv).bytes, "from a peer");
    EXPECT_EQ(ring.Await(read).bytes, "a file");
    EXPECT_EQ(ring.FreeBuffers(group.id), 2u);
  }
  tree.Close(file);
}

}  // namespace
}  // namespace ioring
