// What a file is and has: stat, sync, truncate, allocate, advise.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

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

using Access = FileOptions::Access;
using Create = FileOptions::Create;

constexpr uint64_t kPastEverything = uint64_t{1} << 63;

bool IsBefore(const FileTime& a, const FileTime& b) {
  return a.seconds != b.seconds ? a.seconds < b.seconds : a.nanos < b.nanos;
}

// Both stats say the same of one file, by its name and by its id.
TEST_P(RingConformance, FileStat) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  EXPECT_EQ(tree.Write(file, 4, "content").result(), 7);
  tree.Make("b", "");
  const FileInfo info = tree.Info("a");
  EXPECT_EQ(info.type, FileType::kRegular);
  EXPECT_EQ(info.size, 11u);
  EXPECT_EQ(info.links, 1u);
  EXPECT_EQ(info.special_device, 0u);
  EXPECT_LT(info.modified.nanos, 1'000'000'000u);
  EXPECT_FALSE(IsBefore(info.modified, info.born)) << "written before it was";
  const FileInfo by_id = tree.InfoOf(file);
  EXPECT_EQ(by_id.type, info.type);
  EXPECT_EQ(by_id.size, info.size);
  EXPECT_EQ(by_id.permissions, info.permissions);
  EXPECT_EQ(by_id.owner, info.owner);
  EXPECT_EQ(by_id.group, info.group);
  EXPECT_EQ(by_id.device, info.device);
  EXPECT_EQ(by_id.file_number, info.file_number);
  EXPECT_EQ(by_id.born, info.born);
  const FileInfo other = tree.Info("b");
  EXPECT_EQ(other.size, 0u);
  EXPECT_EQ(other.device, info.device);
  EXPECT_NE(other.file_number, info.file_number);
  tree.MakeFolder("folder");
  EXPECT_EQ(tree.Info("folder").type, FileType::kDirectory);
  tree.Close(file);
}

// Only a stat that succeeded writes its memory.
TEST_P(RingConformance, FileStatErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  FileInfo* info = tree.NewInfo();
  info->size = 77;
  info->type = FileType::kSocket;
  EXPECT_EQ(tree.Stat(tree.Name("missing"), FollowLink::kYes, info).error(), Error::kNotFound);
  EXPECT_EQ(tree.Stat(tree.Name("missing"), FollowLink::kNo, info).error(), Error::kNotFound);
  EXPECT_EQ(tree.StatFile(FileId{}, info).error(), Error::kBadId);
  EXPECT_EQ(info->size, 77u);
  EXPECT_EQ(info->type, FileType::kSocket);
}

// Everything that has a descriptor can be synced, but not what Windows opened for reading.
TEST_P(RingConformance, FileSyncOfAnyFile) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId writes = tree.Open("a", {.access = Access::kWrite});
  const FileId reads = tree.Open("a");
  for (const SyncMode mode : {SyncMode::kData, SyncMode::kDataAndMeta}) {
    EXPECT_EQ(tree.Sync(writes, mode).result(), 0);
    for (const FileId file : {reads, tree.directory()}) {
      const Error error = tree.Sync(file, mode).error();
      EXPECT_TRUE(error == Error::kOk || error == Error::kPermissionDenied) << ErrorName(error);
    }
  }
  tree.Close(writes);
  tree.Close(reads);
}

TEST_P(RingConformance, FileTruncate) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  EXPECT_EQ(tree.Write(file, 0, "0123456789").result(), 10);
  EXPECT_EQ(tree.Truncate(file, 4).result(), 0);
  EXPECT_EQ(tree.Content("a"), "0123");
  EXPECT_EQ(tree.InfoOf(file).size, 4u);
  EXPECT_EQ(tree.Truncate(file, 8).result(), 0);
  EXPECT_EQ(tree.Content("a"), std::string("0123\0\0\0\0", 8));
  EXPECT_EQ(tree.Truncate(file, 8).result(), 0);
  EXPECT_EQ(tree.Truncate(file, 0).result(), 0);
  EXPECT_EQ(tree.Content("a"), "");
  tree.Close(file);
}

// A file that becomes shorter, or longer, while it is read ends where it ends then.
TEST_P(RingConformance, FileTruncatedUnderReader) {
  constexpr size_t kBytes = 64 << 10;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const Pattern pattern(71);
  const FileId file = tree.OpenNew("a");
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  EXPECT_EQ(ring.Await(tree.StartWrite(file, 0, memory)).result(), static_cast<int32_t>(kBytes));
  const FileId reader = tree.Open("a");
  const TestGroup group = ring.MakeGroup(4, 8192);
  EXPECT_EQ(tree.Truncate(file, 10'000).result(), 0);
  EXPECT_EQ(tree.Read(reader, 8192, 8192).size(), 10'000u - 8192);
  EXPECT_EQ(tree.Read(reader, 10'000, 8192), "");
  EXPECT_EQ(tree.ReadManaged(reader, 8192, group.id).bytes.size(), 10'000u - 8192);
  EXPECT_EQ(tree.ReadManaged(reader, 16'384, group.id).result(), 0);
  for (int i = 0; i < 20; ++i) {
    const std::span<std::byte> back = ring.Memory(kBytes);
    const Token read = tree.StartRead(reader, 0, back);
    const uint64_t size = i % 2 == 0 ? 4096 : kBytes;
    const Token cut =
        ring.Start([&](Token token) { return ring.PrepareTruncate(file, size, token); });
    EXPECT_EQ(ring.Await(cut).result(), 0);
    const Arrival done = ring.Await(read);
    ASSERT_TRUE(done.ok()) << ErrorName(done.error());
    EXPECT_GE(done.result(), 4096);
    EXPECT_TRUE(pattern.Matches(back.first(4096), 0));
  }
  tree.Close(reader);
  tree.Close(file);
}

TEST_P(RingConformance, FileTruncateErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId writes = tree.Open("a", {.access = Access::kWrite});
  const FileId reads = tree.Open("a");
  EXPECT_EQ(tree.Truncate(writes, kPastEverything).error(), Error::kFileTooLarge);
  EXPECT_EQ(tree.Truncate(writes, ~uint64_t{0}).error(), Error::kFileTooLarge);
  const Error of_reader = tree.Truncate(reads, 0).error();
  EXPECT_TRUE(of_reader == Error::kInvalidArgument || of_reader == Error::kPermissionDenied ||
              of_reader == Error::kBadId)
      << ErrorName(of_reader);
  EXPECT_FALSE(tree.Truncate(tree.directory(), 0).ok());
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(writes);
  tree.Close(reads);
}

// A file of `bytes` bytes of a pattern.
class PatternFile {
 public:
  static constexpr size_t kBytes = 256 << 10;

  explicit PatternFile(FileTree& tree) : tree_(tree), file_(tree.OpenNew("a")), pattern_(61) {
    const std::span<std::byte> memory = tree.ring().Memory(kBytes);
    pattern_.Fill(memory, 0);
    EXPECT_EQ(tree.ring().Await(tree.StartWrite(file_, 0, memory)).result(),
              static_cast<int32_t>(kBytes));
  }
  ~PatternFile() { tree_.Close(file_); }
  PatternFile(const PatternFile&) = delete;
  PatternFile& operator=(const PatternFile&) = delete;

  FileId id() const { return file_; }
  uint64_t size() { return tree_.InfoOf(file_).size; }
  // Allocates; false where the system cannot.
  bool Allocate(AllocateMode mode, uint64_t offset, uint64_t length) {
    const Error error = tree_.Allocate(file_, mode, offset, length).error();
    EXPECT_TRUE(error == Error::kOk || error == Error::kNotSupported) << ErrorName(error);
    return error == Error::kOk;
  }
  // The pattern, but zeros from `begin` to `end`.
  void ExpectZeros(size_t begin, size_t end) {
    const std::span<std::byte> memory = tree_.ring().Memory(kBytes);
    EXPECT_EQ(tree_.ring().Await(tree_.StartRead(file_, 0, memory)).result(),
              static_cast<int32_t>(kBytes));
    EXPECT_TRUE(pattern_.Matches(memory.first(begin), 0));
    for (size_t i = begin; i < end; ++i) {
      ASSERT_EQ(memory[i], std::byte{0}) << i << " is no zero";
    }
    EXPECT_TRUE(pattern_.Matches(memory.subspan(end), end));
  }

 private:
  FileTree& tree_;
  const FileId file_;
  const Pattern pattern_;
};

// Reserving space changes no byte, and the size where it is told to.
TEST_P(RingConformance, FileAllocateReserves) {
  constexpr uint64_t kMore = 128 << 10;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  PatternFile file(tree);
  file.Allocate(AllocateMode::kExtend, 0, 4096);
  EXPECT_EQ(file.size(), PatternFile::kBytes);
  if (file.Allocate(AllocateMode::kKeepSize, PatternFile::kBytes, kMore)) {
    EXPECT_GE(tree.InfoOf(file.id()).allocated_bytes, PatternFile::kBytes + kMore);
  }
  EXPECT_EQ(file.size(), PatternFile::kBytes);
  if (file.Allocate(AllocateMode::kExtend, PatternFile::kBytes - 10, kMore)) {
    EXPECT_EQ(file.size(), PatternFile::kBytes - 10 + kMore);
    EXPECT_EQ(tree.Read(file.id(), PatternFile::kBytes, 8), std::string(8, '\0'));
  } else {
    EXPECT_EQ(file.size(), PatternFile::kBytes);
  }
  file.ExpectZeros(0, 0);
}

// A hole and zeros read as zeros, and nothing beside them changes: whole blocks and parts of them.
TEST_P(RingConformance, FileAllocateZeros) {
  TestRing& ring = MakeRing();
  for (const AllocateMode mode : {AllocateMode::kPunchHole, AllocateMode::kZero}) {
    SCOPED_TRACE(static_cast<int>(mode));
    FileTree tree(ring);
    PatternFile file(tree);
    if (!file.Allocate(mode, 5000, 100'000)) {
      file.ExpectZeros(0, 0);
      continue;
    }
    file.ExpectZeros(5000, 105'000);
    EXPECT_EQ(file.size(), PatternFile::kBytes);
    if (mode == AllocateMode::kZero) continue;
    // The size stays, whatever of the range lies behind the end.
    EXPECT_TRUE(file.Allocate(mode, 1'000'000, 5000));
    EXPECT_TRUE(file.Allocate(mode, 5000, 1'000'000));
    EXPECT_EQ(file.size(), PatternFile::kBytes);
    file.ExpectZeros(5000, PatternFile::kBytes);
  }
}

TEST_P(RingConformance, FileAllocateErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId writes = tree.Open("a", {.access = Access::kReadWrite});
  const FileId reads = tree.Open("a");
  for (const AllocateMode mode : {AllocateMode::kExtend, AllocateMode::kKeepSize,
                                  AllocateMode::kPunchHole, AllocateMode::kZero}) {
    SCOPED_TRACE(static_cast<int>(mode));
    EXPECT_EQ(tree.Allocate(writes, mode, 0, 0).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Allocate(writes, mode, kPastEverything, 1).error(), Error::kFileTooLarge);
    EXPECT_EQ(tree.Allocate(writes, mode, 1, kPastEverything - 1).error(), Error::kFileTooLarge);
    EXPECT_EQ(tree.Allocate(writes, mode, ~uint64_t{0}, 1).error(), Error::kFileTooLarge);
    EXPECT_FALSE(tree.Allocate(reads, mode, 0, 100'000).ok());
  }
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(writes);
  tree.Close(reads);
}

// A hint is no more than that: it changes no byte and fails for no file.
TEST_P(RingConformance, FileAdvise) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a");
  for (const Advice advice : {Advice::kNormal, Advice::kSequential, Advice::kRandom,
                              Advice::kWillNeed, Advice::kDontNeed}) {
    EXPECT_EQ(tree.Advise(file, advice, 0, 0).result(), 0);
    EXPECT_EQ(tree.Advise(file, advice, 2, 3).result(), 0);
    EXPECT_EQ(tree.Advise(file, advice, 1'000'000, uint64_t{1} << 40).result(), 0);
    EXPECT_EQ(tree.Advise(file, advice, kPastEverything, 0).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Advise(file, advice, 1, kPastEverything - 1).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Read(file, 0, 10), "content");
  }
  EXPECT_EQ(tree.Advise(tree.directory(), Advice::kWillNeed, 0, 0).result(), 0);
  tree.Close(file);
}

}  // namespace
}  // namespace ioring
