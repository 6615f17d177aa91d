// File operations and what is full, cancelled or late; many of all sorts at once.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;
using Prepare = std::function<Prepared(Token)>;

int32_t ReturnThree(void* /*argument*/) { return 3; }

// One operation of each way that a ring has to make them, all of which succeed on a file "a".
// `opened` is what an open gave.
struct Sort {
  const char* name;
  Prepare prepare;
  bool opens = false;
};

// One piece of memory, described in memory that stays as long.
std::span<const MemoryPart> NewParts(TestRing& ring) {
  auto* part = reinterpret_cast<MemoryPart*>(ring.Memory(sizeof(MemoryPart)).data());
  *part = {ring.Memory(8).data(), 8};
  return {part, 1};
}

// Each has memory of its own, since they are in flight at the same time.
std::vector<Sort> Sorts(FileTree& tree, FileId file, BufferGroupId group) {
  TestRing& ring = tree.ring();
  const PathAt path = tree.Name("a");
  return {
      {"read",
       [=, &ring](Token token) { return ring.PrepareRead(file, 0, ring.Memory(8), token); }},
      {"vector",
       [=, &ring](Token token) { return ring.PrepareReadVector(file, 0, NewParts(ring), token); }},
      {"managed",
       [=, &ring](Token token) { return ring.PrepareReadManaged(file, 0, group, token); }},
      {"sync", [=, &ring](Token token) { return ring.PrepareSync(file, SyncMode::kData, token); }},
      {"stat",
       [=, &ring, &tree](Token token) {
         return ring.PrepareStat(path, FollowLink::kNo, tree.NewInfo(), token);
       }},
      {"rename",
       [=, &ring](Token token) {
         return ring.PrepareRename(path, path, RenameMode::kReplace, token);
       }},
      {"open", [=, &ring](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); },
       /*opens=*/true},
      {"work", [=, &ring](Token token) { return ring.PrepareWork(ReturnThree, nullptr, token); }},
  };
}

// Prepares until it is refused; checks what by, and that all that was accepted completes.
void ExpectRefusal(FileTree& tree, const Sort& sort, Prepared expected) {
  TestRing& ring = tree.ring();
  std::vector<Token> tokens;
  Prepared refused;
  for (;;) {
    const Token token = ring.NewToken();
    refused = sort.prepare(token);
    if (refused == Prepared::kSubmissionQueueFull && expected != refused) {
      ring.Submit();
      continue;
    }
    if (refused != Prepared::kAccepted) break;
    tokens.push_back(token);
    ASSERT_LT(tokens.size(), 1000u);
  }
  EXPECT_EQ(refused, expected);
  EXPECT_GE(tokens.size(), 4u);
  for (const Token token : tokens) {
    const Arrival arrival = ring.Await(token);
    if (sort.opens && arrival.ok()) {
      tree.Close(arrival.completion.file());
    } else {
      EXPECT_TRUE(arrival.ok() || (sort.opens && arrival.error() == Error::kTooManyIds))
          << ErrorName(arrival.error());
    }
  }
}

// What is refused leaves no trace: the file can be closed, the buffers are all there.
TEST_P(RingConformance, FileSubmissionQueueFull) {
  RingOptions options = Options();
  options.submission_entries = 8;
  options.max_files = 64;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a", {.access = Access::kReadWrite});
  const TestGroup group = ring.MakeGroup(4, 64);
  for (const Sort& sort : Sorts(tree, file, group.id)) {
    SCOPED_TRACE(sort.name);
    ExpectRefusal(tree, sort, Prepared::kSubmissionQueueFull);
  }
  EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
  EXPECT_TRUE(ring.CloseFile(file).ok()) << "what was refused uses it still";
}

// A close that is refused has not made the id stale.
TEST_P(RingConformance, FileRefusedCloseKeepsId) {
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a");
  std::vector<Token> nops;
  while (ring.SubmissionQueueSpace() != 0) nops.push_back(ring.StartNop());
  EXPECT_EQ(ring.PrepareCloseFile(file, ring.NewToken()), Prepared::kSubmissionQueueFull);
  for (const Token nop : nops) ring.Await(nop);
  EXPECT_EQ(tree.Read(file, 0, 10), "content");
  tree.Close(file);
}

// The same where as many operations are in flight as there may be.
TEST_P(RingConformance, FileOperationTableFull) {
  RingOptions options = Options();
  options.max_operations = 64;
  options.max_files = 4;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a", {.access = Access::kReadWrite});
  const Pair pair = ring.MakePair();
  std::vector<Token> timeouts;
  for (;;) {
    const Token token = ring.NewToken();
    const Prepared prepared = ring.PrepareTimeout(std::chrono::hours{1}, Shots::kOneShot, token);
    if (prepared == Prepared::kSubmissionQueueFull) {
      ring.Submit();
      continue;
    }
    if (prepared != Prepared::kAccepted) break;
    timeouts.push_back(token);
  }
  ring.Submit();
  const TestGroup group = ring.MakeGroup(4, 64);
  for (const Sort& sort : Sorts(tree, file, group.id)) {
    SCOPED_TRACE(sort.name);
    EXPECT_EQ(sort.prepare(ring.NewToken()), Prepared::kOperationTableFull);
  }
  EXPECT_EQ(ring.PrepareCloseFile(file, ring.NewToken()), Prepared::kOperationTableFull);
  for (const Token timeout : timeouts) {
    ring.StartCancel(timeout);
    EXPECT_EQ(ring.Await(timeout).error(), Error::kCanceled);
  }
  for (const Sort& sort : Sorts(tree, file, group.id)) {
    SCOPED_TRACE(sort.name);
    const Arrival arrival = ring.Await(ring.Start(sort.prepare));
    EXPECT_EQ(arrival.error(), Error::kOk);
    if (sort.opens && arrival.ok()) tree.Close(arrival.completion.file());
  }
  EXPECT_TRUE(ring.CloseFile(file).ok()) << "what was refused uses it still";
  ring.ExpectAlive(pair);
}

// A cancel in the batch of its target, or the next: the target did its work or none.
TEST_P(RingConformance, FileOperationsCanceled) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a", {.access = Access::kReadWrite});
  const TestGroup group = ring.MakeGroup(4, 64);
  for (int round = 0; round < 10; ++round) {
    for (const Sort& sort : Sorts(tree, file, group.id)) {
      SCOPED_TRACE(sort.name);
      const Token target = ring.Start(sort.prepare);
      if (round % 2 != 0) ring.Submit();
      const Token cancel = ring.StartCancel(target);
      const Arrival ended = ring.Await(target);
      EXPECT_TRUE(ended.ok() || ended.error() == Error::kCanceled) << ErrorName(ended.error());
      if (sort.opens && ended.ok()) tree.Close(ended.completion.file());
      const Arrival canceled = ring.Await(cancel);
      EXPECT_TRUE(canceled.ok() || canceled.error() == Error::kNotFound)
          << ErrorName(canceled.error());
    }
  }
  EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
  EXPECT_TRUE(ring.CloseFile(file).ok()) << "what was cancelled uses it still";
}

// A cancelled name is there or is not, as its completion says.
TEST_P(RingConformance, FileCanceledMakesNothing) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const PathAt path = tree.Name("a");
  for (int i = 0; i < 30; ++i) {
    const Token make =
        ring.Start([&](Token token) { return ring.PrepareMakeDirectory(path, 0777, token); });
    const Token cancel = ring.StartCancel(make);
    const Arrival made = ring.Await(make);
    ring.Await(cancel);
    EXPECT_TRUE(made.ok() || made.error() == Error::kCanceled) << ErrorName(made.error());
    EXPECT_EQ(tree.Exists("a"), made.ok());
    if (made.ok()) {
      EXPECT_EQ(tree.UnlinkDirectory(path).error(), Error::kOk);
    }
  }
}

// A deadline that is not reached ends with its operation, whatever that is.
TEST_P(RingConformance, FileOperationsInTime) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a", {.access = Access::kReadWrite});
  const TestGroup group = ring.MakeGroup(4, 64);
  for (const Sort& sort : Sorts(tree, file, group.id)) {
    SCOPED_TRACE(sort.name);
    const Token target = ring.Start(sort.prepare);
    const Token deadline = ring.Start(
        [&](Token token) { return ring.PrepareDeadline(target, std::chrono::hours{1}, token); });
    const Arrival ended = ring.Await(target);
    EXPECT_EQ(ended.error(), Error::kOk);
    if (sort.opens && ended.ok()) tree.Close(ended.completion.file());
    EXPECT_EQ(ring.Await(deadline).result(), 0);
  }
  tree.Close(file);
}

// Many files live through everything at once, each in its own order.
TEST_P(RingConformance, FileManyLives) {
  constexpr size_t kFiles = 40;
  RingOptions options = Options();
  options.max_files = kFiles + 1;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  std::vector<std::string> names;
  std::vector<PathAt> paths;
  for (size_t i = 0; i < kFiles; ++i) names.push_back(absl::StrCat("file", i));
  for (const std::string& name : names) paths.emplace_back(tree.directory(), name.c_str());
  const auto for_all = [&](const auto& prepare) {
    std::vector<Token> tokens(kFiles);
    for (size_t i = 0; i < kFiles; ++i) {
      const size_t which = i * 11 % kFiles;
      tokens[which] = ring.Start([&](Token token) { return prepare(which, token); });
      if (i % 7 == 0) ring.Submit();
    }
    std::vector<Arrival> arrivals;
    for (const Token token : tokens) {
      arrivals.push_back(ring.Await(token));
      EXPECT_EQ(arrivals.back().error(), Error::kOk);
    }
    return arrivals;
  };
  const std::vector<Arrival> opened = for_all([&](size_t i, Token token) {
    return ring.PrepareOpen(paths[i], {.access = Access::kReadWrite, .create = Create::kNew},
                            token);
  });
  const auto file = [&](size_t i) { return opened[i].completion.file(); };
  for_all([&](size_t i, Token token) {
    return ring.PrepareWrite(file(i), 0, ring.Text(names[i]), token);
  });
  std::vector<FileInfo*> infos;
  for (size_t i = 0; i < kFiles; ++i) infos.push_back(tree.NewInfo());
  for_all([&](size_t i, Token token) { return ring.PrepareStatFile(file(i), infos[i], token); });
  for (size_t i = 0; i < kFiles; ++i) EXPECT_EQ(infos[i]->size, names[i].size());
  std::vector<std::span<std::byte>> memory;
  for (size_t i = 0; i < kFiles; ++i) memory.push_back(ring.Memory(16));
  const std::vector<Arrival> read = for_all(
      [&](size_t i, Token token) { return ring.PrepareRead(file(i), 0, memory[i], token); });
  for (size_t i = 0; i < kFiles; ++i) {
    EXPECT_EQ(AsText(memory[i].first(static_cast<size_t>(read[i].result()))), names[i]);
  }
  for_all([&](size_t i, Token token) { return ring.PrepareCloseFile(file(i), token); });
  for_all([&](size_t i, Token token) { return ring.PrepareUnlink(paths[i], token); });
}

}  // namespace
}  // namespace ioring
