// Files.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// A path that nobody else uses; what is there at the end is removed.
class TestPath {
 public:
  TestPath() {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = absl::StrCat(testing::TempDir(), "/", test->name());
    for (char& letter : path_) {
      if (letter == '/' && &letter > path_.data() + testing::TempDir().size()) letter = '_';
    }
    std::remove(path_.c_str());
  }
  ~TestPath() { std::remove(path_.c_str()); }
  TestPath(const TestPath&) = delete;
  TestPath& operator=(const TestPath&) = delete;

  const std::string& operator*() const { return path_; }

 private:
  std::string path_;
};

FileId Open(TestRing& ring, const std::string& path, Access access, Create create) {
  const absl::StatusOr<FileId> file = ring.OpenFile(path, {.access = access, .create = create});
  EXPECT_TRUE(file.ok()) << file.status();
  return file.value_or(FileId{});
}

Token StartRead(TestRing& ring, FileId file, uint64_t offset, std::span<std::byte> memory) {
  return ring.Start([&](Token token) { return ring.PrepareRead(file, offset, memory, token); });
}

Token StartWrite(TestRing& ring, FileId file, uint64_t offset, std::span<const std::byte> memory) {
  return ring.Start([&](Token token) { return ring.PrepareWrite(file, offset, memory, token); });
}

void Write(TestRing& ring, FileId file, uint64_t offset, std::string_view text) {
  EXPECT_EQ(ring.Await(StartWrite(ring, file, offset, ring.Text(text))).result(),
            static_cast<int32_t>(text.size()));
}

std::string Read(TestRing& ring, FileId file, uint64_t offset, size_t bytes) {
  const std::span<std::byte> memory = ring.Memory(bytes);
  const Arrival arrival = ring.Await(StartRead(ring, file, offset, memory));
  EXPECT_TRUE(arrival.ok()) << ErrorName(arrival.error());
  return std::string(
      AsText(memory.first(arrival.ok() ? static_cast<size_t>(arrival.result()) : 0)));
}

// Reads and writes go where they are told, in any order.
TEST_P(RingConformance, FileReadsAndWritesAtOffsets) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  Write(ring, file, 6, "world");
  Write(ring, file, 0, "hello ");
  EXPECT_EQ(Read(ring, file, 0, 11), "hello world");
  EXPECT_EQ(Read(ring, file, 6, 5), "world");
  EXPECT_EQ(Read(ring, file, 4, 3), "o w");
  Write(ring, file, 20, "far");
  EXPECT_EQ(Read(ring, file, 10, 13), std::string("d\0\0\0\0\0\0\0\0\0far", 13));
  EXPECT_TRUE(ring.CloseFile(file).ok());
}

// The end of a file is a short read, then 0.
TEST_P(RingConformance, FileEnd) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  EXPECT_EQ(Read(ring, file, 0, 10), "");
  Write(ring, file, 0, "0123456789");
  EXPECT_EQ(Read(ring, file, 7, 10), "789");
  EXPECT_EQ(Read(ring, file, 10, 10), "");
  EXPECT_EQ(Read(ring, file, 1'000'000, 10), "");
  // Where an offset is cut to 32 bits, there are bytes.
  EXPECT_EQ(Read(ring, file, uint64_t{1} << 32, 10), "");
}

// The same on slices of registered memory, with the same checks as for sockets (rule 8).
TEST_P(RingConformance, FileSlices) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  const TestBuffer buffer = ring.MakeBuffer(8192, 4096);
  const Pattern pattern(40);
  pattern.Fill(buffer.memory, 0);
  const auto write = [&](uint64_t offset, const BufferSlice& slice) {
    return ring.Run(
        [&](Token token) { return ring.PrepareWriteBuffer(file, offset, slice, token); });
  };
  const auto read = [&](uint64_t offset, const BufferSlice& slice) {
    return ring.Run(
        [&](Token token) { return ring.PrepareReadBuffer(file, offset, slice, token); });
  };
  EXPECT_EQ(write(0, buffer.Slice(4096, 4096)).result(), 4096);
  EXPECT_EQ(read(1000, buffer.Slice(10, 500)).result(), 500);
  EXPECT_TRUE(pattern.Matches(buffer.memory.subspan(10, 500), 4096 + 1000));
  EXPECT_TRUE(pattern.Matches(buffer.memory.first(10), 0));
  EXPECT_TRUE(pattern.Matches(buffer.memory.subspan(510), 510));
  EXPECT_EQ(read(4000, buffer.Slice(0, 4096)).result(), 96);
  EXPECT_EQ(read(4096, buffer.Slice(0, 4096)).result(), 0);
  for (const BufferSlice& bad :
       {buffer.Slice(0, 0), buffer.Slice(4095, 2), buffer.Slice(0, 4097), buffer.Slice(8192, 1),
        buffer.Slice(1, ~uint32_t{0}), buffer.Slice(~uint32_t{0}, 2)}) {
    EXPECT_EQ(write(0, bad).error(), Error::kInvalidArgument);
    EXPECT_EQ(read(0, bad).error(), Error::kInvalidArgument);
  }
  const BufferSlice stale{BufferId{buffer.id.index, buffer.id.generation + 1}, 0, 16};
  EXPECT_EQ(write(0, stale).error(), Error::kBadId);
  EXPECT_EQ(read(0, stale).error(), Error::kBadId);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
}

// Memory that was registered for sockets serves files as well.
TEST_P(RingConformance, FileSlicesForSockets) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  const TestBuffer buffer = ring.MakeBuffer(8192, 4096, BufferUse::kSockets);
  const Pattern pattern(44);
  pattern.Fill(buffer.memory.first(4096), 0);
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareWriteBuffer(file, 0, buffer.Slice(0, 4096), token);
                })
                .result(),
            4096);
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareReadBuffer(file, 0, buffer.Slice(4096, 4096), token);
                })
                .result(),
            4096);
  EXPECT_TRUE(pattern.Matches(buffer.memory.last(4096), 0));
}

// Uses of registered memory are counted for files, too.
TEST_P(RingConformance, FileSliceUses) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  const TestBuffer buffer = ring.MakeBuffer(8192, 4096);
  const Token write = ring.Start([&](Token token) {
    return ring.PrepareWriteBuffer(file, 0, buffer.Slice(4096, 4096), token);
  });
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 5000), 1u);
  EXPECT_EQ(ring.UnregisterBuffer(buffer.id).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ring.Await(write).result(), 4096);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 5000), 0u);
  EXPECT_TRUE(ring.UnregisterBuffer(buffer.id).ok());
}

// Many at once; a file has no rule of one operation each way.
TEST_P(RingConformance, FileManyAtOnce) {
  constexpr size_t kBlocks = 64;
  constexpr size_t kBlockBytes = 16 << 10;
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  const Pattern pattern(41);
  const std::span<std::byte> memory = ring.Memory(kBlocks * kBlockBytes);
  pattern.Fill(memory, 0);
  std::vector<Token> tokens;
  for (size_t i = 0; i < kBlocks; ++i) {
    const size_t block = i * 37 % kBlocks;  // in no order
    tokens.push_back(StartWrite(ring, file, block * kBlockBytes,
                                memory.subspan(block * kBlockBytes, kBlockBytes)));
  }
  for (const Token token : tokens) {
    ASSERT_EQ(ring.Await(token).result(), static_cast<int32_t>(kBlockBytes));
  }
  tokens.clear();
  const std::span<std::byte> back = ring.Memory(kBlocks * kBlockBytes);
  for (size_t i = 0; i < kBlocks; ++i) {
    tokens.push_back(
        StartRead(ring, file, i * kBlockBytes, back.subspan(i * kBlockBytes, kBlockBytes)));
  }
  for (const Token token : tokens) {
    ASSERT_EQ(ring.Await(token).result(), static_cast<int32_t>(kBlockBytes));
  }
  EXPECT_TRUE(pattern.Matches(back, 0));
}

TEST_P(RingConformance, FileSync) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kWrite, Create::kNew);
  Write(ring, file, 0, "lasting");
  for (const SyncMode mode : {SyncMode::kData, SyncMode::kDataAndMeta}) {
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareSync(file, mode, token); }).result(),
              0);
  }
}

// FileOptions::Create, each way; errors name what was wrong.
TEST_P(RingConformance, FileCreation) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const auto open = [&](Access access, Create create) {
    return ring.OpenFile(*path, {.access = access, .create = create});
  };
  const absl::StatusOr<FileId> missing = open(Access::kRead, Create::kNever);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  // A message may escape what is special in it, such as a backslash.
  EXPECT_TRUE(absl::StrContains(missing.status().message(), *path) ||
              absl::StrContains(missing.status().message(), absl::CHexEscape(*path)))
      << "which file? " << missing.status();
  const FileId made = Open(ring, *path, Access::kWrite, Create::kIfNeeded);
  Write(ring, made, 0, "kept");
  EXPECT_EQ(open(Access::kWrite, Create::kNew).status().code(), absl::StatusCode::kAlreadyExists);
  const FileId again = Open(ring, *path, Access::kReadWrite, Create::kIfNeeded);
  EXPECT_EQ(Read(ring, again, 0, 10), "kept");
  const FileId emptied = Open(ring, *path, Access::kReadWrite, Create::kTruncate);
  EXPECT_EQ(Read(ring, emptied, 0, 10), "");
  EXPECT_EQ(Read(ring, again, 0, 10), "");
  EXPECT_FALSE(ring.OpenFile(testing::TempDir(), {.access = Access::kWrite}).ok())
      << "it is a directory";
  EXPECT_FALSE(ring.OpenFile(*path + std::string("\0x", 2), {}).ok()) << "a NUL cuts the path";
}

// A file opened for one direction refuses the other.
TEST_P(RingConformance, FileAccess) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId write_only = Open(ring, *path, Access::kWrite, Create::kNew);
  Write(ring, write_only, 0, "x");
  EXPECT_FALSE(ring.Await(StartRead(ring, write_only, 0, ring.Memory(1))).ok());
  const FileId read_only = Open(ring, *path, Access::kRead, Create::kNever);
  EXPECT_FALSE(ring.Await(StartWrite(ring, read_only, 0, ring.Text("y"))).ok());
  EXPECT_EQ(Read(ring, read_only, 0, 10), "x");
}

// Rules 1 and 5: stale ids and empty spans are accepted, and complete with the error.
TEST_P(RingConformance, FileBadArguments) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId old = Open(ring, *path, Access::kReadWrite, Create::kNew);
  EXPECT_TRUE(ring.CloseFile(old).ok());
  EXPECT_FALSE(ring.CloseFile(old).ok());
  const FileId current = Open(ring, *path, Access::kReadWrite, Create::kNever);
  EXPECT_NE(old, current);
  const TestBuffer buffer = ring.MakeBuffer(64);
  for (const FileId file : {old, FileId{}, FileId{current.index + 65536, current.generation},
                            FileId{current.index, current.generation + 65536}}) {
    EXPECT_EQ(ring.Await(StartRead(ring, file, 0, ring.Memory(1))).error(), Error::kBadId);
    EXPECT_EQ(ring.Await(StartWrite(ring, file, 0, ring.Text("x"))).error(), Error::kBadId);
    const BufferSlice slice = buffer.Slice(0, 8);
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareReadBuffer(file, 0, slice, token); })
                  .error(),
              Error::kBadId);
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareWriteBuffer(file, 0, slice, token); })
                  .error(),
              Error::kBadId);
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareSync(file, SyncMode::kData, token); })
                  .error(),
              Error::kBadId);
  }
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
  EXPECT_EQ(Read(ring, current, 0, 1), "") << "something was written";
  EXPECT_TRUE(ring.CloseFile(current).ok());
}

// A file stays while operations are in flight on it.
TEST_P(RingConformance, FileClosedInFlight) {
  TestRing& ring = MakeRing();
  const TestPath path;
  const FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  const Token write = StartWrite(ring, file, 0, ring.Text("safe"));
  EXPECT_EQ(ring.CloseFile(file).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ring.Await(write).result(), 4);
  EXPECT_EQ(Read(ring, file, 0, 4), "safe");
  EXPECT_TRUE(ring.CloseFile(file).ok());
}

// RingOptions::max_files is a limit; closing makes room, for ever.
TEST_P(RingConformance, FileLimit) {
  RingOptions options = Options();
  options.max_files = 2;
  TestRing& ring = MakeRing(options);
  const TestPath path;
  FileId file = Open(ring, *path, Access::kReadWrite, Create::kNew);
  Open(ring, *path, Access::kRead, Create::kNever);
  EXPECT_FALSE(ring.OpenFile(*path, {}).ok());
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(ring.CloseFile(file).ok());
    file = Open(ring, *path, Access::kReadWrite, Create::kNever);
  }
  Write(ring, file, 0, "x");
}

}  // namespace
}  // namespace ioring
