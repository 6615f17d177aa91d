// Files: what differs between the ways in which this backend handles them.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

class FileTest : public testing::TestWithParam<Mask> {
 protected:
  static constexpr uint32_t kBufferBytes = 256;

  ~FileTest() override { unlink(path_.c_str()); }

  // The end of a pipe that the ring has, and the other one.
  struct Pipe {
    FileId file;
    Descriptor other;
  };
  Pipe MakePipe(bool ring_reads, int flags = 0) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | flags), 0);
    const absl::StatusOr<FileId> file = ring_->RegisterFile(ends[ring_reads ? 0 : 1]);
    EXPECT_TRUE(file.ok()) << file.status();
    return {file.value_or(FileId{}), Descriptor(ends[ring_reads ? 1 : 0])};
  }
  FileId OpenWith(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    const absl::StatusOr<FileId> file = ring_->OpenFile(path_, {});
    EXPECT_TRUE(file.ok()) << file.status();
    return file.value_or(FileId{});
  }
  BufferGroupId MakeGroup(uint32_t buffers) {
    const absl::StatusOr<BufferGroupId> group =
        ring_->RegisterBufferGroup({.memory = {memory_.data(), buffers * kBufferBytes},
                                    .buffer_bytes = kBufferBytes,
                                    .exhaustion = ExhaustionPolicy::kWait});
    EXPECT_TRUE(group.ok()) << group.status();
    return *group;
  }
  Token Read(FileId file, std::span<std::byte> memory) {
    return ring_.Start(
        [&](Token token) { return ring_->PrepareRead(file, kOwnPosition, memory, token); });
  }
  Token ReadManaged(FileId file, uint64_t offset, BufferGroupId group) {
    return ring_.Start(
        [&](Token token) { return ring_->PrepareReadManaged(file, offset, group, token); });
  }
  // The bytes of a completion, whose buffer goes back.
  std::string TakeText(const Event& event) {
    EXPECT_NE(event.flags & kBuffer, 0u) << ring_->ExplainError(event);
    if ((event.flags & kBuffer) == 0) return "";
    std::string text(AsText({event.buffer.data, event.buffer.size}));
    ring_->ReturnBuffer(event.buffer);
    return text;
  }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/uring_file_", getpid());
  const std::string new_path_ = path_ + "_new";
  std::array<std::byte, 4 * kBufferBytes> memory_;
  UringTester ring_{{.disabled = GetParam().disabled}};
};

// The kernel has operations for all of these.
TEST_P(FileTest, ThreadsMakeTheCallsOnlyWhereTheKernelDoesNot) {
  const FileId file = OpenWith("12345");
  FileInfo info;
  const auto succeeds = [&](auto prepare) {
    const Event event = ring_.Run(prepare);
    EXPECT_TRUE(event.ok()) << ring_->ExplainError(event);
    return event;
  };
  const FileId opened =
      succeeds([&](Token token) { return ring_->PrepareOpen(path_.c_str(), {}, token); }).file();
  succeeds([&](Token token) { return ring_->PrepareStatFile(opened, &info, token); });
  EXPECT_EQ(info.size, 5u);
  EXPECT_EQ(info.type, FileType::kRegular);
  succeeds([&](Token token) { return ring_->PrepareSync(file, SyncMode::kDataAndMeta, token); });
  succeeds([&](Token token) {
    return ring_->PrepareRename(path_.c_str(), new_path_.c_str(), RenameMode::kNoReplace, token);
  });
  succeeds([&](Token token) { return ring_->PrepareUnlink(new_path_.c_str(), token); });
  succeeds([&](Token token) { return ring_->PrepareCloseFile(opened, token); });
  const bool by_kernel = ring_->Capabilities().Has(Capability::kFileCalls);
  EXPECT_EQ(ring_->GetStatistics().emulations, by_kernel ? 0u : 6u);
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

// The kernel's errors say less than those of the calls where it is asked for something unusual.
TEST_P(FileTest, ErrorsAreThoseOfTheOtherBackends) {
  const FileId file = OpenWith("12345");
  FileOptions options{.directory = true};
  const Event opened =
      ring_.Run([&](Token token) { return ring_->PrepareOpen(path_.c_str(), options, token); });
  EXPECT_EQ(opened.error(), Error::kNotDirectory) << ring_->ExplainError(opened);
  const std::string folder = testing::TempDir();
  const Event read =
      ring_.Run([&](Token token) { return ring_->PrepareOpen(folder.c_str(), {}, token); });
  EXPECT_EQ(read.error(), Error::kIsDirectory) << ring_->ExplainError(read);
  const Event removed =
      ring_.Run([&](Token token) { return ring_->PrepareRemoveDirectory(path_.c_str(), token); });
  EXPECT_EQ(removed.error(), Error::kNotDirectory) << ring_->ExplainError(removed);
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

// Trap: the kernel does not wait where the descriptor is non-blocking.
TEST_P(FileTest, ReadsOfNonBlockingPipesWait) {
  const Pipe pipe = MakePipe(/*ring_reads=*/true, O_NONBLOCK);
  std::array<std::byte, 16> memory;
  const Token read = Read(pipe.file, memory);
  EXPECT_EQ(ring_.Ready(read), 0u);
  ASSERT_EQ(write(pipe.other.get(), "bytes", 5), 5);
  const Event event = ring_.Next(read);
  ASSERT_EQ(event.result, 5) << ring_->ExplainError(event);
  EXPECT_EQ(AsText(std::span(memory).first(5)), "bytes");

  const Token endless = Read(pipe.file, memory);
  EXPECT_EQ(ring_.Ready(endless), 0u);
  EXPECT_EQ(ring_.Run([&](Token token) { return ring_->PrepareCancel(endless, token); }).error(),
            Error::kOk);
  EXPECT_EQ(ring_.Next(endless).error(), Error::kCanceled);
  EXPECT_TRUE(ring_->CloseFile(pipe.file).ok());
}

// Trap: a write to a pipe raises SIGPIPE in the thread that enters the kernel; that would end this
// program.
TEST_P(FileTest, WritesWithoutAReaderRaiseNoSignal) {
  Pipe pipe = MakePipe(/*ring_reads=*/false);
  pipe.other.reset();
  const Event event = ring_.Run([&](Token token) {
    return ring_->PrepareWrite(pipe.file, kOwnPosition, AsBytes("nobody"), token);
  });
  EXPECT_EQ(event.error(), Error::kBrokenPipe) << ring_->ExplainError(event);
  EXPECT_TRUE(ring_->CloseFile(pipe.file).ok());
}

// Rule 4: a file whose pieces go on at once does not keep its caller until the end.
TEST_P(FileTest, ASubmitSendsOnlySomePiecesOfAFile) {
  constexpr uint64_t kFileBytes = 32 << 20;
  constexpr uint64_t kOfASubmitMax = 1 << 20;
  const FileId file = OpenWith("");
  ASSERT_EQ(truncate(path_.c_str(), kFileBytes), 0);
  const UringTester::Accepted connection = ring_.Register(TcpPair());
  const Token send = ring_.Start([&](Token token) {
    return ring_->PrepareSendFile(file, 0, kFileBytes, connection.id, token);
  });
  std::vector<std::byte> taken(4 << 20);
  uint64_t received = 0;
  while (received < kFileBytes) {
    const uint64_t before = ring_->GetStatistics().bytes_sent;
    ring_->Submit();
    const uint64_t sent = ring_->GetStatistics().bytes_sent - before;
    ASSERT_LE(sent, kOfASubmitMax);
    if (sent == 0 && ring_->CompletionQueueCount() == 0) {
      ring_->WaitCompletions({.timeout = std::chrono::milliseconds(1)});
    }
    for (;;) {
      const ssize_t got =
          recv(connection.peer.get(), taken.data(), taken.size(), MSG_DONTWAIT | MSG_TRUNC);
      if (got <= 0) break;
      received += static_cast<uint64_t>(got);
    }
  }
  EXPECT_EQ(ring_.Next(send).result, static_cast<int32_t>(kFileBytes));
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

// A pipe without bytes holds no buffer, so that the only one is there for another read.
TEST_P(FileTest, ManagedReadsOfPipesWaitWithoutABuffer) {
  const Pipe pipe = MakePipe(/*ring_reads=*/true);
  const std::string text = Pattern(100);
  const FileId file = OpenWith(text);
  const BufferGroupId group = MakeGroup(1);
  const Token waiting = ReadManaged(pipe.file, kOwnPosition, group);
  EXPECT_EQ(ring_.Ready(waiting), 0u);
  EXPECT_EQ(ring_->FreeBuffers(group), 1u);
  EXPECT_EQ(TakeText(ring_.Next(ReadManaged(file, 0, group))), text);
  ASSERT_EQ(write(pipe.other.get(), "bytes", 5), 5);
  EXPECT_EQ(TakeText(ring_.Next(waiting)), "bytes");
  const Token endless = ReadManaged(pipe.file, kOwnPosition, group);
  EXPECT_EQ(ring_.Ready(endless), 0u);
  ring_.Run([&](Token token) { return ring_->PrepareCancel(endless, token); });
  EXPECT_EQ(ring_.Next(endless).error(), Error::kCanceled);
  EXPECT_TRUE(ring_->CloseFile(pipe.file).ok());
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

// The group becomes one of whole buffers under the receive.
TEST_P(FileTest, ReadsAndReceivesShareAGroup) {
  const std::string text = Pattern(1000);
  const FileId file = OpenWith(text);
  const BufferGroupId group = MakeGroup(4);
  const UringTester::Accepted connection = ring_.Register(TcpPair());
  const Token receive = ring_.Start([&](Token token) {
    return ring_->PrepareRecvManaged(connection.id, group, Shots::kMultishot, token);
  });
  ASSERT_TRUE(SendAll(connection.peer.get(), "before"));
  const Event first = ring_.Next(receive);
  ASSERT_EQ(first.result, 6) << ring_->ExplainError(first);
  const Token read = ReadManaged(file, 512, group);
  EXPECT_EQ(TakeText(ring_.Next(read)), text.substr(512, kBufferBytes));
  EXPECT_EQ(TakeText(first), "before");
  const Token last = ReadManaged(file, 768, group);
  EXPECT_EQ(TakeText(ring_.Next(last)), text.substr(768));
  const Event end = ring_.Next(ReadManaged(file, 1000, group));
  EXPECT_EQ(end.result, 0);
  EXPECT_EQ(end.flags & kBuffer, 0u);
  ASSERT_TRUE(SendAll(connection.peer.get(), "behind"));
  EXPECT_EQ(TakeText(ring_.Next(receive)), "behind");
  EXPECT_EQ(ring_->FreeBuffers(group), 4u);
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

TEST_P(FileTest, ReadsThatWaitForABufferCanBeCancelled) {
  const std::string text = Pattern(1000);
  const FileId file = OpenWith(text);
  const BufferGroupId group = MakeGroup(1);
  const Event first = ring_.Next(ReadManaged(file, 0, group));
  ASSERT_EQ(first.result, int32_t{kBufferBytes}) << ring_->ExplainError(first);
  const Token second = ReadManaged(file, 256, group);
  const Token third = ReadManaged(file, 512, group);
  EXPECT_EQ(ring_.Ready(second), 0u);
  ring_.Run([&](Token token) { return ring_->PrepareCancel(second, token); });
  EXPECT_EQ(ring_.Next(second).error(), Error::kCanceled);
  EXPECT_EQ(TakeText(first), text.substr(0, kBufferBytes));
  EXPECT_EQ(TakeText(ring_.Next(third)), text.substr(512, kBufferBytes));
  EXPECT_GE(ring_->GetStatistics().buffer_exhaustions, 1u);
  EXPECT_TRUE(ring_->CloseFile(file).ok());
}

TEST_P(FileTest, ClosesAfterWhatIsInFlight) {
  const Pipe pipe = MakePipe(/*ring_reads=*/true);
  std::array<std::byte, 16> memory;
  const Token read = Read(pipe.file, memory);
  const Token close =
      ring_.Start([&](Token token) { return ring_->PrepareCloseFile(pipe.file, token); });
  EXPECT_EQ(ring_.Next(Read(pipe.file, memory)).error(), Error::kBadId);
  EXPECT_EQ(ring_.Ready(close), 0u);
  pollfd other{.fd = pipe.other.get(), .events = POLLOUT, .revents = 0};
  ASSERT_EQ(poll(&other, 1, 0), 1);
  EXPECT_EQ(other.revents & POLLERR, 0);
  ASSERT_EQ(write(pipe.other.get(), "bytes", 5), 5);
  EXPECT_EQ(ring_.Next(read).result, 5);
  const Event closed = ring_.Next(close);
  EXPECT_EQ(closed.result, 0) << ring_->ExplainError(closed);
  ASSERT_EQ(poll(&other, 1, 0), 1);
  EXPECT_NE(other.revents & POLLERR, 0) << "the pipe has a reader yet";
}

// More than one turn takes, while the caller waits and does not submit.
TEST_P(FileTest, ManyResultsOfThreadsComeWithoutASubmit) {
  constexpr int kWorks = 300;
  constexpr Token kWork{1'000'000};
  constexpr Token kLater{1'000'001};
  int accepted = 0;
  for (int tries = 0; accepted < kWorks && tries < 2 * kWorks; ++tries) {
    const Prepared prepared = ring_->PrepareWork([](void*) { return 7; }, nullptr, kWork);
    if (prepared == Prepared::kAccepted) {
      ++accepted;
    } else {
      ring_->Submit();
    }
  }
  ASSERT_EQ(accepted, kWorks);
  ring_->Submit();
  ASSERT_EQ(ring_->PrepareNop(kLater), Prepared::kAccepted);
  int completed = 0;
  while (completed < kWorks) {
    if (ring_->WaitCompletions({.timeout = kPatience}) == 0) break;
    const std::span<const Completion> completions = ring_->PeekCompletions();
    for (const Completion& completion : completions) {
      EXPECT_EQ(completion.token, kWork);
      EXPECT_EQ(completion.result, 7);
      ++completed;
    }
    ring_->AdvanceCompletionQueue(completions.size());
  }
  EXPECT_EQ(completed, kWorks);
  EXPECT_EQ(ring_.Next(kLater).result, 0);
}

INSTANTIATE_TEST_SUITE_P(Masks, FileTest,
                         testing::Values(Mask{"Native", {}},
                                         Mask{"NoFileCalls", {Capability::kFileCalls}},
                                         Mask{"WholeBuffers", {Capability::kIncrementalBuffers}},
                                         Mask{"NoProvidedBuffers", {Capability::kProvidedBuffers}},
                                         Mask{"Linux515", CapabilitiesNewerThan5_15()}),
                         MaskName);

}  // namespace
}  // namespace ioring::uring
