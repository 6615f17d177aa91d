// Files of Windows through the ring: pipes, handles from elsewhere, and the position that the ring
// keeps for handles which have none.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"
#include "ring_rio/windows_headers.h"

namespace ioring {
namespace {

constexpr RingOptions kOptions{
    .submission_entries = 64, .max_connections = 64, .max_operations = 128};

NativeHandle NativeOf(HANDLE handle) { return reinterpret_cast<NativeHandle>(handle); }

class IocpFileTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<RioRing>> ring = RioRing::CreateIocp(kOptions);
    CHECK_OK(ring.status());
    ring_ = std::make_unique<TestRing>(*std::move(ring), kOptions);
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "/iocp_file_" + test->name();
  }
  void TearDown() override {
    ring_->Finish();
    ring_.reset();
    DeleteFileA(path_.c_str());
  }

  FileId MakeFile() {
    const absl::StatusOr<FileId> file = ring_->OpenFile(
        path_,
        {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
    CHECK_OK(file.status());
    return *file;
  }
  // The reading end of a pipe becomes the ring's; `writer_` is the other. `mode`: of
  // CreateNamedPipeW.
  FileId MakePipe(DWORD mode) {
    const std::string name = absl::StrCat(R"(\\.\pipe\ioring.)", GetCurrentProcessId());
    const HANDLE reader = CreateNamedPipeA(name.c_str(), PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED,
                                           mode, 1, kPipeBytes, kPipeBytes, 0, nullptr);
    CHECK(reader != INVALID_HANDLE_VALUE) << GetLastError();
    writer_ = CreateFileA(name.c_str(), GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
    CHECK(writer_ != INVALID_HANDLE_VALUE) << GetLastError();
    const absl::StatusOr<FileId> file = ring_->RegisterFile(NativeOf(reader));
    CHECK_OK(file.status());
    return *file;
  }
  void WriteToPipe(std::string_view text) {
    DWORD bytes = 0;
    EXPECT_TRUE(WriteFile(writer_, text.data(), static_cast<DWORD>(text.size()), &bytes, nullptr));
    EXPECT_EQ(bytes, text.size());
  }
  Token StartRead(FileId file, std::span<std::byte> memory, uint64_t offset = kOwnPosition) {
    return ring_->Start(
        [&](Token token) { return ring_->PrepareRead(file, offset, memory, token); });
  }
  Token StartWrite(FileId file, std::string_view text) {
    return ring_->Start([&](Token token) {
      return ring_->PrepareWrite(file, kOwnPosition, ring_->Text(text), token);
    });
  }

  static constexpr DWORD kPipeBytes = 4096;
  std::unique_ptr<TestRing> ring_;
  std::string path_;
  HANDLE writer_ = INVALID_HANDLE_VALUE;
};

TEST_F(IocpFileTest, APipeIsReadLikeAStream) {
  const FileId pipe = MakePipe(PIPE_TYPE_BYTE);
  const std::span<std::byte> memory = ring_->Memory(16);
  const Token waiting = StartRead(pipe, memory);
  ring_->Quiet();
  EXPECT_FALSE(ring_->HasArrived(waiting));
  WriteToPipe("abc");
  EXPECT_EQ(ring_->Await(waiting).result(), 3);
  EXPECT_EQ(AsText(memory.first(3)), "abc");
  CloseHandle(writer_);
  EXPECT_EQ(ring_->Await(StartRead(pipe, memory)).result(), 0);
  EXPECT_TRUE(ring_->CloseFile(pipe).ok());
}

TEST_F(IocpFileTest, AReadThatWaitsIsCancelled) {
  const FileId pipe = MakePipe(PIPE_TYPE_BYTE);
  const std::span<std::byte> memory = ring_->Memory(16);
  const Token waiting = StartRead(pipe, memory);
  ring_->Pump();
  EXPECT_EQ(ring_->Await(ring_->StartCancel(waiting)).result(), 0);
  EXPECT_EQ(ring_->Await(waiting).error(), Error::kCanceled);
  WriteToPipe("abc");
  EXPECT_EQ(ring_->Await(StartRead(pipe, memory)).result(), 3);
  CloseHandle(writer_);
  EXPECT_TRUE(ring_->CloseFile(pipe).ok());
}

// Another part would wait for more.
TEST_F(IocpFileTest, AVectorTakesWhatAPipeHas) {
  const FileId pipe = MakePipe(PIPE_TYPE_BYTE);
  const std::span<std::byte> memory = ring_->Memory(6);
  const std::array<MemoryPart, 3> parts = {
      {{nullptr, 0}, {memory.data(), 3}, {memory.data() + 3, 3}}};
  WriteToPipe("abc");
  const auto read = [&](Token token) {
    return ring_->PrepareReadVector(pipe, kOwnPosition, parts, token);
  };
  EXPECT_EQ(ring_->Run(read).result(), 3);
  EXPECT_EQ(AsText(memory.first(3)), "abc");
  CloseHandle(writer_);
  EXPECT_TRUE(ring_->CloseFile(pipe).ok());
}

// Trap: ReadFile fails with ERROR_MORE_DATA, and gives a packet all the same.
TEST_F(IocpFileTest, AMessageThatIsLongerThanTheMemory) {
  const FileId pipe = MakePipe(PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
  const std::span<std::byte> memory = ring_->Memory(3);
  WriteToPipe("abcde");
  EXPECT_EQ(ring_->Await(StartRead(pipe, memory)).result(), 3);
  EXPECT_EQ(AsText(memory), "abc");
  EXPECT_EQ(ring_->Await(StartRead(pipe, memory)).result(), 2);
  EXPECT_EQ(AsText(memory.first(2)), "de");
  CloseHandle(writer_);
  EXPECT_TRUE(ring_->CloseFile(pipe).ok());
}

TEST_F(IocpFileTest, TransfersAtThePositionTakeTurns) {
  const FileId file = MakeFile();
  const Token first = StartWrite(file, "aa");
  const Token second = StartWrite(file, "bb");
  const Token third = StartWrite(file, "cc");
  for (const Token token : {first, second, third}) EXPECT_EQ(ring_->Await(token).result(), 2);
  const std::span<std::byte> memory = ring_->Memory(8);
  EXPECT_EQ(ring_->Await(StartRead(file, memory)).result(), 0) << "the position is the end";
  EXPECT_EQ(ring_->Await(StartRead(file, memory, 0)).result(), 6);
  const std::string text(AsText(memory.first(6)));
  for (const char* part : {"aa", "bb", "cc"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

TEST_F(IocpFileTest, AVectorIsOneTransfer) {
  const FileId file = MakeFile();
  const std::span<std::byte> text = ring_->Text("abcdef");
  const std::array<MemoryPart, 3> parts = {{{text.data(), 1}, {nullptr, 0}, {text.data() + 1, 5}}};
  const auto write = [&](Token token) { return ring_->PrepareWriteVector(file, 2, parts, token); };
  EXPECT_EQ(ring_->Run(write).result(), 6);
  const std::span<std::byte> memory = ring_->Memory(16);
  const std::array<MemoryPart, 3> places = {
      {{memory.data(), 2}, {memory.data() + 2, 4}, {memory.data() + 6, 10}}};
  const auto read = [&](Token token) { return ring_->PrepareReadVector(file, 1, places, token); };
  EXPECT_EQ(ring_->Run(read).result(), 7);  // to the end of the file
  EXPECT_EQ(AsText(memory.subspan(1, 6)), "abcdef");
  EXPECT_EQ(ring_->Run(read).result(), 7) << "the position is not used";
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

// The parts may be the same memory. Windows' null device takes all, and touches none of it.
TEST_F(IocpFileTest, AVectorOfManyBytesIsShort) {
  const HANDLE nowhere = CreateFileA("NUL", GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                     nullptr, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr);
  ASSERT_NE(nowhere, INVALID_HANDLE_VALUE) << GetLastError();
  const absl::StatusOr<FileId> file = ring_->RegisterFile(NativeOf(nowhere));
  ASSERT_TRUE(file.ok()) << file.status();
  const std::span<std::byte> memory = ring_->Memory((uint64_t{1} << 32) / kMemoryPartsMax);
  const std::vector<MemoryPart> parts(kMemoryPartsMax, {memory.data(), memory.size()});
  const auto write = [&](Token token) { return ring_->PrepareWriteVector(*file, 0, parts, token); };
  EXPECT_EQ(ring_->Run(write).result(), static_cast<int32_t>(kTransferBytesMax));
  EXPECT_TRUE(ring_->CloseFile(*file).ok());
}

TEST_F(IocpFileTest, HandlesThatCannotBeFiles) {
  const SOCKET socket = rio::NewSocket(AF_INET, SOCK_STREAM);
  EXPECT_EQ(ring_->RegisterFile(static_cast<NativeHandle>(socket)).status().code(),
            absl::StatusCode::kInvalidArgument);
  closesocket(socket);
  // Without FILE_FLAG_OVERLAPPED.
  const HANDLE plain = CreateFileA(path_.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr,
                                   CREATE_ALWAYS, 0, nullptr);
  EXPECT_EQ(ring_->RegisterFile(NativeOf(plain)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(CloseHandle(plain)) << "it stays the caller's";
  const FileId file = MakeFile();
  EXPECT_EQ(ring_->RegisterFile(*ring_->FileHandle(file)).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

}  // namespace
}  // namespace ioring
