// Vectored reads and writes, and those at the file's own position.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Parts = std::span<const MemoryPart>;

Token StartReadVector(TestRing& ring, FileId file, uint64_t offset, Parts parts) {
  return ring.Start(
      [&](Token token) { return ring.PrepareReadVector(file, offset, parts, token); });
}

Token StartWriteVector(TestRing& ring, FileId file, uint64_t offset, Parts parts) {
  return ring.Start(
      [&](Token token) { return ring.PrepareWriteVector(file, offset, parts, token); });
}

// Parts of these sizes, one after the other in one piece of memory.
class SplitMemory {
 public:
  SplitMemory(TestRing& ring, const std::vector<size_t>& sizes) {
    size_t all = 0;
    for (const size_t size : sizes) all += size;
    memory_ = ring.Memory(all);
    const std::span<std::byte> place = ring.Memory(sizes.size() * sizeof(MemoryPart));
    auto* parts = reinterpret_cast<MemoryPart*>(place.data());
    size_t offset = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      parts[i] = {sizes[i] == 0 ? nullptr : memory_.data() + offset, sizes[i]};
      offset += sizes[i];
    }
    parts_ = {parts, sizes.size()};
  }

  std::span<std::byte> memory() const { return memory_; }
  int32_t size() const { return static_cast<int32_t>(memory_.size()); }
  Parts parts() const { return parts_; }

 private:
  std::span<std::byte> memory_;
  Parts parts_;
};

std::vector<size_t> ManySizes() {
  std::vector<size_t> sizes;
  for (size_t i = 0; i < kMemoryPartsMax; ++i) sizes.push_back(i * 7 % 40);
  return sizes;
}

// Parts are transferred one after the other: one, several with empty ones, and the most there may
// be.
TEST_P(RingConformance, FileVectors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const std::vector<std::vector<size_t>> all = {
      {1}, {100}, {0, 0, 5}, {5, 0, 0}, {3, 0, 4096, 0, 1, 10'000}, ManySizes()};
  for (const std::vector<size_t>& sizes : all) {
    SCOPED_TRACE(sizes.size());
    const FileId file = tree.Open(
        "a", {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
    const Pattern pattern(62);
    const SplitMemory source(ring, sizes);
    pattern.Fill(source.memory(), 0);
    EXPECT_EQ(ring.Await(StartWriteVector(ring, file, 10, source.parts())).result(), source.size());
    const SplitMemory target(ring, sizes);
    EXPECT_EQ(ring.Await(StartReadVector(ring, file, 10, target.parts())).result(), target.size());
    EXPECT_TRUE(pattern.Matches(target.memory(), 0));
    EXPECT_EQ(tree.InfoOf(file).size, 10u + source.memory().size());
    EXPECT_EQ(tree.Read(file, 0, 10), std::string(10, '\0'));
    tree.Close(file);
  }
}

// A read of parts is short at the end of the file, in the midst of a part too.
TEST_P(RingConformance, FileVectorsAtEnd) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "0123456789");
  const FileId file = tree.Open("a");
  const SplitMemory target(ring, {4, 0, 4, 4, 4});
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, 0, target.parts())).result(), 10);
  EXPECT_EQ(AsText(target.memory().first(10)), "0123456789");
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, 8, target.parts())).result(), 2);
  EXPECT_EQ(AsText(target.memory().first(4)), "8923");
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, 10, target.parts())).result(), 0);
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, 1000, target.parts())).result(), 0);
  tree.Close(file);
}

// Parts that have more bytes together than 32 bits can say. They may be the same memory.
TEST_P(RingConformance, FileVectorsLongerThanAnyResult) {
  constexpr size_t kPartBytes = (uint64_t{1} << 32) / kMemoryPartsMax;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "0123456789");
  const FileId file = tree.Open("a");
  const std::span<std::byte> target = ring.Memory(kPartBytes);
  const std::vector<MemoryPart> parts(kMemoryPartsMax, {target.data(), target.size()});
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, 0, parts)).result(), 10);
  EXPECT_EQ(AsText(target.first(10)), "0123456789");
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, kOwnPosition, parts)).result(), 10);
  EXPECT_EQ(ring.Await(StartReadVector(ring, file, kOwnPosition, parts)).result(), 0);
  tree.Close(file);
}

// No parts, too many, and none that has bytes.
TEST_P(RingConformance, FileVectorsOfWrongParts) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  const SplitMemory too_many(ring, std::vector<size_t>(kMemoryPartsMax + 1, 1));
  const SplitMemory empty(ring, {0, 0, 0});
  for (const Parts parts : {Parts(), too_many.parts(), empty.parts()}) {
    EXPECT_EQ(ring.Await(StartReadVector(ring, file, 0, parts)).error(), Error::kInvalidArgument);
    EXPECT_EQ(ring.Await(StartWriteVector(ring, file, 0, parts)).error(), Error::kInvalidArgument);
  }
  EXPECT_EQ(tree.InfoOf(file).size, 0u);
  tree.Close(file);
}

// Many of them at once.
TEST_P(RingConformance, FileVectorsAtOnce) {
  constexpr size_t kBlocks = 40;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  const Pattern pattern(63);
  const std::vector<size_t> sizes = {1000, 0, 3000, 96};
  constexpr size_t kBlockBytes = 4096;
  std::vector<Token> tokens;
  for (size_t i = 0; i < kBlocks; ++i) {
    const size_t block = i * 13 % kBlocks;
    const SplitMemory source(ring, sizes);
    pattern.Fill(source.memory(), block * kBlockBytes);
    tokens.push_back(StartWriteVector(ring, file, block * kBlockBytes, source.parts()));
  }
  for (const Token token : tokens) {
    EXPECT_EQ(ring.Await(token).result(), static_cast<int32_t>(kBlockBytes));
  }
  const std::span<std::byte> back = ring.Memory(kBlocks * kBlockBytes);
  EXPECT_EQ(ring.Await(tree.StartRead(file, 0, back)).result(), static_cast<int32_t>(back.size()));
  EXPECT_TRUE(pattern.Matches(back, 0));
  tree.Close(file);
}

// kOwnPosition reads and writes where the last one ended. Each open has its own place.
TEST_P(RingConformance, FileOwnPosition) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  EXPECT_EQ(tree.Write(file, kOwnPosition, "one ").result(), 4);
  EXPECT_EQ(tree.Write(file, kOwnPosition, "two ").result(), 4);
  EXPECT_EQ(tree.Write(file, 20, "far").result(), 3);
  const SplitMemory source(ring, {3, 0, 3});
  std::memcpy(source.memory().data(), "three!", 6);
  EXPECT_EQ(ring.Await(StartWriteVector(ring, file, kOwnPosition, source.parts())).result(), 6);
  EXPECT_EQ(tree.Read(file, 0, 14), "one two three!");
  const FileId first = tree.Open("a");
  const FileId second = tree.Open("a");
  EXPECT_EQ(tree.Read(first, kOwnPosition, 4), "one ");
  EXPECT_EQ(tree.Read(first, 0, 3), "one") << "does not move it";
  EXPECT_EQ(tree.Read(second, kOwnPosition, 2), "on");
  const SplitMemory target(ring, {2, 0, 2});
  EXPECT_EQ(ring.Await(StartReadVector(ring, first, kOwnPosition, target.parts())).result(), 4);
  EXPECT_EQ(AsText(target.memory()), "two ");
  EXPECT_EQ(tree.Read(first, kOwnPosition, 100), std::string("three!\0\0\0\0\0\0far", 15));
  EXPECT_EQ(tree.Read(first, kOwnPosition, 100), "");
  EXPECT_EQ(tree.Read(second, kOwnPosition, 2), "e ");
  for (const FileId id : {file, first, second}) tree.Close(id);
}

// Managed reads move it, too.
TEST_P(RingConformance, FileOwnPositionManaged) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "0123456789");
  const FileId file = tree.Open("a");
  const TestGroup group = ring.MakeGroup(2, 4);
  EXPECT_EQ(tree.ReadManaged(file, kOwnPosition, group.id).bytes, "0123");
  EXPECT_EQ(tree.Read(file, kOwnPosition, 2), "45");
  EXPECT_EQ(tree.ReadManaged(file, kOwnPosition, group.id).bytes, "6789");
  EXPECT_EQ(tree.ReadManaged(file, kOwnPosition, group.id).result(), 0);
  tree.Close(file);
}

// Several at once take place in any order, each byte once.
TEST_P(RingConformance, FileOwnPositionAtOnce) {
  constexpr size_t kPieces = 16;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  std::vector<Token> tokens;
  for (size_t i = 0; i < kPieces; ++i) {
    tokens.push_back(tree.StartWrite(file, kOwnPosition,
                                     ring.Text(std::string(10, static_cast<char>('a' + i)))));
  }
  for (const Token token : tokens) EXPECT_EQ(ring.Await(token).result(), 10);
  const std::string all = tree.Content("a");
  ASSERT_EQ(all.size(), kPieces * 10);
  for (size_t i = 0; i < kPieces; ++i) {
    const std::string piece(10, static_cast<char>('a' + i));
    EXPECT_EQ(all.find(piece) % 10, 0u) << piece;
  }
  tree.Close(file);
}

}  // namespace
}  // namespace ioring
