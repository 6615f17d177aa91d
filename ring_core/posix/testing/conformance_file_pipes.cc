// Reads and writes of what may wait for ever: pipes and FIFOs, at kOwnPosition.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
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
#include "ring_core/posix/testing/shared_descriptors.h"

namespace ioring {
namespace {

// A pipe both of whose ends are a ring's.
struct RingPipe {
  explicit RingPipe(TestRing& ring, bool non_blocking = false) {
    std::array<int, 2> ends{-1, -1};
    EXPECT_EQ(pipe(ends.data()), 0);
    if (non_blocking) {
      for (const int end : ends) EXPECT_EQ(fcntl(end, F_SETFL, O_NONBLOCK), 0);
    }
    reads = Register(ring, ends[0]);
    writes = Register(ring, ends[1]);
  }

  static FileId Register(TestRing& ring, int end) {
    const absl::StatusOr<FileId> file = ring.RegisterFile(end);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.value_or(FileId{});
  }

  FileId reads;
  FileId writes;
};

Token StartOwnRead(FileCalls& calls, FileId file, std::span<std::byte> memory) {
  return calls.StartRead(file, kOwnPosition, memory);
}

// What a descriptor brings until the span is full.
std::string ReadFully(int descriptor, std::span<char> memory) {
  size_t size = 0;
  while (size < memory.size()) {
    const ssize_t result = read(descriptor, memory.data() + size, memory.size() - size);
    if (result <= 0) break;
    size += static_cast<size_t>(result);
  }
  return {memory.data(), size};
}

// A read waits for bytes and takes what is there; the end is 0.
TEST_P(RingConformance, PipeReadWaits) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  for (const bool non_blocking : {false, true}) {
    SCOPED_TRACE(non_blocking);
    const RingPipe pipe(ring, non_blocking);
    const std::span<std::byte> memory = ring.Memory(64);
    const Token read = StartOwnRead(calls, pipe.reads, memory);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(read));
    EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "hello").result(), 5);
    EXPECT_EQ(ring.Await(read).result(), 5);
    EXPECT_EQ(AsText(memory.first(5)), "hello");
    const Token end = StartOwnRead(calls, pipe.reads, memory);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(end));
    EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
    EXPECT_EQ(ring.Await(end).result(), 0);
    EXPECT_EQ(calls.CloseFile(pipe.reads).result(), 0);
  }
}

// Vectored and managed reads wait as well; those hold no buffer meanwhile.
TEST_P(RingConformance, PipeReadsOfAllSortsWait) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const RingPipe pipe(ring);
  const TestGroup group = ring.MakeGroup(1, 64);
  std::array<std::byte, 2> first;
  std::array<std::byte, 8> second;
  const std::array<MemoryPart, 3> parts = {MemoryPart{first.data(), 2}, MemoryPart{},
                                           MemoryPart{second.data(), 8}};
  const Token vector = ring.Start(
      [&](Token token) { return ring.PrepareReadVector(pipe.reads, kOwnPosition, parts, token); });
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(vector));
  EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "hello").result(), 5);
  // Where the system cannot say that a read of parts is not to wait, the first part is all.
  const int32_t read = ring.Await(vector).result();
  ASSERT_TRUE(read == 5 || read == 2) << read;
  EXPECT_EQ(AsText(first), "he");
  if (read == 5) {
    EXPECT_EQ(AsText(second).substr(0, 3), "llo");
  }
  if (read == 2) {
    EXPECT_EQ(calls.Read(pipe.reads, kOwnPosition, 8), "llo");
  }
  const Token managed = calls.StartManaged(pipe.reads, kOwnPosition, group.id);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(managed));
  EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "again").result(), 5);
  EXPECT_EQ(ring.Await(managed).bytes, "again");
  const Token end = calls.StartManaged(pipe.reads, kOwnPosition, group.id);
  EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
  const Arrival ended = ring.Await(end);
  EXPECT_EQ(ended.result(), 0);
  EXPECT_EQ(ended.completion.flags & kBuffer, 0u);
  EXPECT_EQ(ring.FreeBuffers(group.id), 1u);
  EXPECT_EQ(calls.CloseFile(pipe.reads).result(), 0);
}

// What waits can be cancelled, and has deadlines; no byte is lost.
TEST_P(RingConformance, PipeReadsAreStopped) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  for (const bool non_blocking : {false, true}) {
    SCOPED_TRACE(non_blocking);
    const RingPipe pipe(ring, non_blocking);
    const TestGroup group = ring.MakeGroup(2, 64);
    for (const bool managed : {false, true}) {
      for (const bool submits : {false, true}) {
        const auto start = [&] {
          return managed ? calls.StartManaged(pipe.reads, kOwnPosition, group.id)
                         : StartOwnRead(calls, pipe.reads, ring.Memory(8));
        };
        const Token read = start();
        if (submits) ring.Quiet();
        const Token cancel = ring.StartCancel(read);
        EXPECT_EQ(ring.Await(read).error(), Error::kCanceled);
        EXPECT_EQ(ring.Await(cancel).result(), 0);
        const Token late = start();
        if (submits) ring.Quiet();
        const Token deadline = ring.Start([&](Token token) {
          return ring.PrepareDeadline(late, std::chrono::milliseconds{5}, token);
        });
        EXPECT_EQ(ring.Await(late).error(), Error::kCanceled);
        EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
      }
    }
    EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "kept").result(), 4);
    EXPECT_EQ(calls.Read(pipe.reads, kOwnPosition, 8), "kept");
    EXPECT_EQ(ring.FreeBuffers(group.id), 2u);
    EXPECT_EQ(calls.CloseFile(pipe.reads).result(), 0);
    EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
  }
}

// A pipe that is full makes writes wait, which can be cancelled as well.
TEST_P(RingConformance, PipeWritesWait) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  for (const bool non_blocking : {false, true}) {
    SCOPED_TRACE(non_blocking);
    const RingPipe pipe(ring, non_blocking);
    const Pattern pattern(70);
    const std::span<std::byte> memory = ring.Memory(1 << 20);
    pattern.Fill(memory, 0);
    size_t written = 0;
    for (;;) {
      const Token write =
          calls.StartWrite(pipe.writes, kOwnPosition, memory.subspan(written, 4096));
      ring.Quiet();
      const bool waits = !ring.HasArrived(write);
      const Token cancel = ring.StartCancel(write);
      const Arrival ended = ring.Await(write);
      const int32_t cancelled = ring.Await(cancel).result();
      if (ended.error() == Error::kCanceled) {
        EXPECT_TRUE(waits);
        EXPECT_EQ(cancelled, 0);
        break;
      }
      // There was room, or on a busy machine this thread was the one that waited.
      ASSERT_GT(ended.result(), 0);
      written += static_cast<size_t>(ended.result());
      ASSERT_LT(written, memory.size() - 4096) << "a pipe that takes everything";
    }
    const Token more = calls.StartWrite(pipe.writes, kOwnPosition, memory.subspan(written, 1000));
    std::vector<std::byte> all;
    while (all.size() < written + 1000) {
      const std::span<std::byte> piece = ring.Memory(10'000);
      const int32_t result = ring.Await(StartOwnRead(calls, pipe.reads, piece)).result();
      ASSERT_GT(result, 0);
      all.insert(all.end(), piece.begin(), piece.begin() + result);
    }
    EXPECT_EQ(ring.Await(more).result(), 1000);
    EXPECT_TRUE(pattern.Matches(all, 0));
    EXPECT_EQ(calls.CloseFile(pipe.reads).result(), 0);
    EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
  }
}

// A write that nobody can read any more is kBrokenPipe, and no signal ends the program.
TEST_P(RingConformance, PipeWithoutReader) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const RingPipe pipe(ring);
  EXPECT_EQ(calls.CloseFile(pipe.reads).result(), 0);
  std::array<std::byte, 2> bytes{};
  const std::array<MemoryPart, 1> parts = {MemoryPart{bytes.data(), bytes.size()}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "x").error(), Error::kBrokenPipe);
    EXPECT_EQ(ring.Run([&](Token token) {
                    return ring.PrepareWriteVector(pipe.writes, kOwnPosition, parts, token);
                  })
                  .error(),
              Error::kBrokenPipe);
    // A pipe has no offsets: the system passes over one, or refuses it.
    const Error placed = calls.Write(pipe.writes, 0, "x").error();
    EXPECT_TRUE(placed == Error::kBrokenPipe || placed == Error::kNotSupported)
        << ErrorName(placed);
  }
  EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
}

// Far more reads that wait than there are threads keep no other operation from running.
TEST_P(RingConformance, PipeReadsKeepNothingBack) {
  constexpr size_t kPipes = 24;
  RingOptions options = Options();
  options.max_files = 2 * kPipes + 4;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a", {.access = FileOptions::Access::kReadWrite});
  std::vector<RingPipe> pipes;
  std::vector<Token> reads;
  for (size_t i = 0; i < kPipes; ++i) {
    pipes.emplace_back(ring);
    reads.push_back(StartOwnRead(tree, pipes.back().reads, ring.Memory(8)));
    // Two on one pipe are in flight at once, too.
    reads.push_back(StartOwnRead(tree, pipes.back().reads, ring.Memory(8)));
  }
  ring.Submit();
  EXPECT_EQ(tree.Sync(file, SyncMode::kDataAndMeta).result(), 0);
  EXPECT_EQ(tree.Read(file, 0, 10), "content");
  EXPECT_EQ(tree.Content("a"), "content");
  EXPECT_EQ(tree.Work([](void*) -> int32_t { return 5; }, nullptr).result(), 5);
  for (const Token read : reads) EXPECT_FALSE(ring.HasArrived(read));
  for (size_t i = 0; i < kPipes; ++i) {
    EXPECT_EQ(tree.Write(pipes[i].writes, kOwnPosition, "x").result(), 1);
    EXPECT_EQ(tree.CloseFile(pipes[i].writes).result(), 0);
    const int32_t one = ring.Await(reads[2 * i]).result();
    const int32_t other = ring.Await(reads[2 * i + 1]).result();
    EXPECT_TRUE((one == 1 && other == 0) || (one == 0 && other == 1)) << one << " " << other;
    EXPECT_EQ(tree.CloseFile(pipes[i].reads).result(), 0);
  }
  tree.Close(file);
}

// A close waits for the read that waits, and does not cancel it.
TEST_P(RingConformance, PipeCloseWaitsForRead) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const RingPipe pipe(ring);
  const Token read = StartOwnRead(calls, pipe.reads, ring.Memory(8));
  const Token close =
      ring.Start([&](Token token) { return ring.PrepareCloseFile(pipe.reads, token); });
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(read));
  EXPECT_FALSE(ring.HasArrived(close));
  EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "hello").result(), 5);
  EXPECT_EQ(ring.Await(read).result(), 5);
  EXPECT_EQ(ring.Await(close).result(), 0);
  EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
}

// At an offset a pipe reads as ever, or says that it has none.
TEST_P(RingConformance, PipeHasNoOffsets) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const RingPipe pipe(ring);
  const Arrival wrote = calls.Write(pipe.writes, 100, "hello");
  EXPECT_TRUE(wrote.result() == 5 || wrote.error() == Error::kNotSupported)
      << ErrorName(wrote.error());
  if (!wrote.ok()) {
    EXPECT_EQ(calls.Write(pipe.writes, kOwnPosition, "hello").result(), 5);
  }
  const std::span<std::byte> memory = ring.Memory(8);
  const Arrival read = ring.Await(calls.StartRead(pipe.reads, 100, memory));
  EXPECT_TRUE(read.result() == 5 || read.error() == Error::kNotSupported)
      << ErrorName(read.error());
  EXPECT_EQ(calls.Advise(pipe.reads, Advice::kSequential, 0, 0).result(), 0) << "it is a hint";
  EXPECT_EQ(calls.CloseFile(pipe.reads).result(), 0);
  EXPECT_EQ(calls.CloseFile(pipe.writes).result(), 0);
}

// A terminal is read and written in lines, through one file, and waits for its other end.
TEST_P(RingConformance, TerminalIsReadAndWritten) {
  for (const bool non_blocking : {false, true}) {
    SCOPED_TRACE(non_blocking);
    posix::Shared shared = posix::Terminal();
    const int master = shared.others.front().get();
    if (non_blocking) {
      ASSERT_EQ(fcntl(shared.descriptor.get(), F_SETFL, O_RDWR | O_NONBLOCK), 0);
    }
    TestRing& ring = MakeRing();
    FileCalls calls(ring);
    const FileId terminal = RingPipe::Register(ring, shared.descriptor.release());
    const std::span<std::byte> memory = ring.Memory(64);
    const Token read = StartOwnRead(calls, terminal, memory);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(read));
    ASSERT_EQ(write(master, "half", 4), 4);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(read)) << "before the line has ended";
    ASSERT_EQ(write(master, " a line\nnext\n", 13), 13);
    EXPECT_EQ(ring.Await(read).result(), 12);
    EXPECT_EQ(AsText(memory.first(12)), "half a line\n");
    EXPECT_EQ(calls.Read(terminal, kOwnPosition, 64), "next\n");
    std::array<char, 19> echoed;
    EXPECT_EQ(ReadFully(master, echoed), "half a line\r\nnext\r\n");
    EXPECT_EQ(calls.Write(terminal, kOwnPosition, "answer").result(), 6);
    EXPECT_EQ(ReadFully(master, std::span(echoed).first(6)), "answer");
    // A read that waits can be cancelled, and ends when the other end is closed.
    const Token cancelled = StartOwnRead(calls, terminal, memory);
    ring.Quiet();
    EXPECT_EQ(ring.Await(ring.StartCancel(cancelled)).result(), 0);
    EXPECT_EQ(ring.Await(cancelled).error(), Error::kCanceled);
    const Token last = StartOwnRead(calls, terminal, memory);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(last));
    shared.others.clear();
    EXPECT_EQ(ring.Await(last).result(), 0);
    EXPECT_EQ(calls.CloseFile(terminal).result(), 0);
  }
}

// A write of more than a terminal has room for holds no thread, and can be cancelled, also when
// there is some room.
TEST_P(RingConformance, TerminalWithLittleRoom) {
  for (size_t room = 1; room <= 8; ++room) {
    SCOPED_TRACE(room);
    posix::Shared shared = posix::Terminal();
    const int master = shared.others.front().get();
    const posix::Descriptor filler(
        open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    const std::string bytes(4096, 'x');
    while (write(filler.get(), bytes.data(), bytes.size()) > 0) {
    }
    TestRing& ring = MakeRing();
    FileCalls calls(ring);
    const FileId terminal = RingPipe::Register(ring, shared.descriptor.release());
    const std::span<std::byte> memory = ring.Memory(bytes.size());
    const Token write = calls.StartWrite(terminal, kOwnPosition, memory);
    ring.Quiet();
    std::array<char, 8> read;
    EXPECT_EQ(ReadFully(master, std::span(read).first(room)).size(), room);
    ring.Quiet();
    const Token cancel = ring.StartCancel(write);
    const Arrival ended = ring.Await(write);
    EXPECT_TRUE(ended.result() > 0 || ended.error() == Error::kCanceled) << ended.result();
    ring.Await(cancel);
    EXPECT_EQ(calls.CloseFile(terminal).result(), 0);
  }
}

// A FIFO by its name: for reading and writing it opens at once.
TEST_P(RingConformance, FifoByName) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Name("fifo");
  ASSERT_EQ(mkfifo(absl::StrCat(tree.path(), "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(tree.Info("fifo").type, FileType::kFifo);
  const FileId fifo = tree.Open("fifo", {.access = FileOptions::Access::kReadWrite});
  EXPECT_EQ(tree.InfoOf(fifo).type, FileType::kFifo);
  const std::span<std::byte> memory = ring.Memory(8);
  const Token read = StartOwnRead(tree, fifo, memory);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(read));
  EXPECT_EQ(tree.Write(fifo, kOwnPosition, "hello").result(), 5);
  EXPECT_EQ(ring.Await(read).result(), 5);
  tree.Close(fifo);
}

// For one of the two it waits for the other end, also where the system knows the name already.
TEST_P(RingConformance, FifoWaitsForItsOtherEnd) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Name("fifo");
  const std::string path = absl::StrCat(tree.path(), "/fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(tree.Info("fifo").type, FileType::kFifo);
  for (const FileOptions::Access access :
       {FileOptions::Access::kRead, FileOptions::Access::kWrite}) {
    const bool reads = access == FileOptions::Access::kRead;
    const Token open = ring.Start(
        [&](Token token) { return ring.PrepareOpen(path.c_str(), {.access = access}, token); });
    ring.Quiet();
    // Else the other end would wait in its turn, and for ever.
    ASSERT_FALSE(ring.HasArrived(open)) << reads;
    const int other = ::open(path.c_str(), (reads ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    ASSERT_GE(other, 0);
    const Arrival opened = ring.Await(open);
    ASSERT_TRUE(opened.ok()) << ErrorName(opened.error());
    const FileId fifo = opened.completion.file();
    if (reads) {
      const Token read = StartOwnRead(tree, fifo, ring.Memory(8));
      ring.Quiet();
      EXPECT_FALSE(ring.HasArrived(read)) << "that is no end";
      EXPECT_EQ(write(other, "hello", 5), 5);
      EXPECT_EQ(ring.Await(read).result(), 5);
    } else {
      std::array<char, 5> bytes;
      EXPECT_EQ(tree.Write(fifo, kOwnPosition, "hello").result(), 5);
      EXPECT_EQ(ReadFully(other, bytes), "hello");
    }
    EXPECT_EQ(close(other), 0);
    tree.Close(fifo);
  }
}

// A ring comes to rest while reads wait: they are cancelled.
TEST_P(RingConformance, PipeReadsAreDrained) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const RingPipe pipe(ring);
  std::vector<Token> reads;
  for (int i = 0; i < 5; ++i) {
    reads.push_back(StartOwnRead(calls, pipe.reads, ring.Memory(8)));
  }
  ring.Quiet();
  const Token all = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
  EXPECT_TRUE(ring.Await(all).ok());
  for (const Token read : reads) EXPECT_EQ(ring.Await(read).error(), Error::kCanceled);
  StartOwnRead(calls, pipe.reads, ring.Memory(8));  // for the end of the test
  ring.Submit();
}

}  // namespace
}  // namespace ioring
