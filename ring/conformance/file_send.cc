// Files to connections: what arrives, what ends it before its end, and what it cannot be.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
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
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr std::chrono::hours kLong{1};
constexpr uint64_t kEverything = uint64_t{1} << 40;
// A file of so many bytes, all zeros, is never sent where nobody receives.
constexpr uint64_t kMoreThanSocketsHoldBytes = 32 << 20;

// A tree, a connection, and one file to read and write.
struct Scene {
  explicit Scene(TestRing& of)
      : ring(of), tree(of), pair(of.MakePair()), file(tree.OpenNew("file")) {}
  ~Scene() { tree.CloseFile(file); }

  Token Start(uint64_t offset, uint64_t length) { return Start(offset, length, pair.client); }
  Token Start(uint64_t offset, uint64_t length, ConnectionId connection) {
    return ring.Start(
        [&](Token token) { return ring.PrepareSendFile(file, offset, length, connection, token); });
  }
  Arrival Send(uint64_t offset, uint64_t length) { return ring.Await(Start(offset, length)); }
  // Begins to send a file that is too long to be sent, and waits until bytes have come.
  Token StartEndless() {
    EXPECT_EQ(tree.Truncate(file, kMoreThanSocketsHoldBytes).error(), Error::kOk);
    const Token send = Start(0, kEverything);
    EXPECT_EQ(ring.RecvText(pair.server, 1), std::string(1, '\0'));
    EXPECT_FALSE(ring.HasArrived(send));
    return send;
  }
  void Fill(const Pattern& pattern, size_t bytes) {
    const std::span<std::byte> memory = ring.Memory(bytes);
    pattern.Fill(memory, 0);
    for (size_t done = 0; done < bytes;) {
      const Arrival wrote = ring.Await(tree.StartWrite(file, done, memory.subspan(done)));
      ASSERT_GT(wrote.result(), 0) << ErrorName(wrote.error());
      done += static_cast<size_t>(wrote.result());
    }
  }

  TestRing& ring;
  FileTree tree;
  const Pair pair;
  const FileId file;
};

// It ended before its end, after some bytes.
void ExpectPart(const Arrival& sent) {
  EXPECT_GT(sent.result(), 0) << ErrorName(sent.error());
  EXPECT_LT(sent.result(), static_cast<int32_t>(kMoreThanSocketsHoldBytes));
}

// The whole file, a part of it, what goes beyond its end, and nothing.
TEST_P(RingConformance, FileSend) {
  TestRing& ring = MakeRing();
  Scene scene(ring);
  EXPECT_EQ(scene.Send(0, 10).result(), 0) << "the file is empty";
  EXPECT_EQ(scene.tree.Write(scene.file, 0, "0123456789").result(), 10);
  EXPECT_EQ(scene.Send(0, 10).result(), 10);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 10), "0123456789");
  EXPECT_EQ(scene.Send(3, 4).result(), 4);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 4), "3456");
  EXPECT_EQ(scene.Send(8, 10).result(), 2);
  EXPECT_EQ(scene.Send(0, kEverything).result(), 10);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 12), "890123456789");
  EXPECT_EQ(scene.Send(10, 1).result(), 0);
  EXPECT_EQ(scene.Send(11, kEverything).result(), 0);
  ring.ExpectAlive(scene.pair);
}

// All bytes come in order, between those of the sends before and after it, however slowly they are
// taken.
TEST_P(RingConformance, FileSendLargeToSlowReader) {
  constexpr size_t kBytes = 3'000'001;
  constexpr size_t kOffset = 12'345;
  TestRing& ring = MakeRing();
  Scene scene(ring);
  const Pattern pattern(70);
  scene.Fill(pattern, kBytes);
  EXPECT_EQ(ring.Send(scene.pair.client, "head").result(), 4);
  const Token send = scene.Start(kOffset, kEverything);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 4), "head");
  const std::span<std::byte> memory = ring.Memory(10'000);
  size_t done = kOffset;
  while (done < kBytes) {
    const size_t bytes = std::min(memory.size(), kBytes - done);
    const Arrival received = ring.Recv(scene.pair.server, memory.first(bytes));
    ASSERT_GT(received.result(), 0) << ErrorName(received.error());
    const auto size = static_cast<size_t>(received.result());
    ASSERT_TRUE(pattern.Matches(memory.first(size), done));
    done += size;
  }
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes - kOffset));
  EXPECT_EQ(ring.Send(scene.pair.client, "tail").result(), 4);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 4), "tail");
}

// Many at once, of one file, to as many connections.
TEST_P(RingConformance, FileSendMany) {
  constexpr size_t kPairs = 12;
  constexpr size_t kBytes = 200'000;
  TestRing& ring = MakeRing();
  Scene scene(ring);
  const Pattern pattern(71);
  scene.Fill(pattern, kBytes);
  const ListenerId listener = ring.Listen();
  struct One {
    Token send;
    Token recv;
    std::span<std::byte> memory;
  };
  std::vector<One> all;
  for (size_t i = 0; i < kPairs; ++i) {
    const Pair pair = ring.MakePair(listener);
    const std::span<std::byte> memory = ring.Memory(kBytes - i);
    all.push_back({scene.Start(i, kEverything, pair.client),
                   ring.StartRecv(pair.server, memory, TransferFlags::kAll), memory});
  }
  for (size_t i = 0; i < kPairs; ++i) {
    const auto bytes = static_cast<int32_t>(kBytes - i);
    EXPECT_EQ(ring.Await(all[i].recv).result(), bytes);
    EXPECT_EQ(ring.Await(all[i].send).result(), bytes);
    EXPECT_TRUE(pattern.Matches(all[i].memory, i));
  }
}

// Rule 6: it is the connection's send. The other direction is free.
TEST_P(RingConformance, FileSendIsTheSend) {
  TestRing& ring = MakeRing();
  Scene scene(ring);
  const Token first = scene.StartEndless();
  EXPECT_EQ(ring.Send(scene.pair.client, "x").error(), Error::kBusy);
  EXPECT_EQ(scene.Send(0, 1).error(), Error::kBusy);
  EXPECT_EQ(ring.Send(scene.pair.server, "back").result(), 4);
  EXPECT_EQ(ring.RecvText(scene.pair.client, 4), "back");
  EXPECT_FALSE(ring.HasArrived(first));
  EXPECT_EQ(ring.Await(ring.StartCancel(first)).result(), 0);
  ExpectPart(ring.Await(first));
  // While a send is in flight, it is this that is refused.
  const std::span<std::byte> memory = ring.Memory(kMoreThanSocketsHoldBytes);
  const Token plain = ring.StartSend(scene.pair.client, memory, TransferFlags::kAll);
  EXPECT_EQ(scene.Send(0, 1).error(), Error::kBusy);
  EXPECT_EQ(ring.Await(ring.StartCancel(plain)).result(), 0);
  EXPECT_EQ(ring.Close(scene.pair.client, CloseMode::kReset).result(), 0);
}

// Every way to cancel a send reaches it, while it waits for the peer.
TEST_P(RingConformance, FileSendCancel) {
  TestRing& ring = MakeRing();
  const auto of_connection = [&](const Scene& scene, Direction direction) {
    return ring.Run([&](Token token) {
      return ring.PrepareCancelConnection(scene.pair.client, direction, token);
    });
  };
  for (const int way : {0, 1, 2, 3}) {
    SCOPED_TRACE(way);
    Scene scene(ring);
    const Token send = scene.StartEndless();
    EXPECT_EQ(ring.CloseFile(scene.file).code(), absl::StatusCode::kFailedPrecondition);
    if (way == 0) {
      EXPECT_EQ(ring.Await(ring.StartCancel(send)).result(), 0);
    } else if (way == 3) {
      const Arrival all = ring.Run([&](Token token) { return ring.PrepareCancelAll(token); });
      EXPECT_EQ(all.result(), 0);
    } else {
      EXPECT_EQ(of_connection(scene, way == 1 ? Direction::kSend : Direction::kBoth).result(), 1);
    }
    ExpectPart(ring.Await(send));
    EXPECT_EQ(ring.Await(ring.StartCancel(send)).error(), Error::kNotFound);
    EXPECT_EQ(ring.Close(scene.pair.client, CloseMode::kReset).result(), 0);
  }
}

// A cancel right behind it ends it, whatever it does by then.
TEST_P(RingConformance, FileSendCancelAtOnce) {
  TestRing& ring = MakeRing();
  for (int i = 0; i < 20; ++i) {
    Scene scene(ring);
    EXPECT_EQ(scene.tree.Truncate(scene.file, kMoreThanSocketsHoldBytes).error(), Error::kOk);
    const Token send = scene.Start(0, kEverything);
    if (i % 2 == 0) ring.Submit();
    const Arrival cancelled = ring.Await(ring.StartCancel(send));
    // Best effort, rule 7.
    EXPECT_TRUE(cancelled.result() == 0 || cancelled.error() == Error::kNotFound)
        << ErrorName(cancelled.error());
    const Arrival sent = ring.Await(send);
    if (sent.error() != Error::kCanceled) ExpectPart(sent);
    EXPECT_EQ(ring.Close(scene.pair.client, CloseMode::kReset).result(), 0);
  }
}

// Deadlines name it by its token, and by its direction.
TEST_P(RingConformance, FileSendDeadline) {
  constexpr std::chrono::milliseconds kSoon{20};
  TestRing& ring = MakeRing();
  for (const bool by_token : {true, false}) {
    Scene scene(ring);
    const Token send = scene.StartEndless();
    const Token deadline = ring.Start([&](Token token) {
      return by_token ? ring.PrepareDeadline(send, kSoon, token)
                      : ring.PrepareDeadline(scene.pair.client, Direction::kSend, kSoon, token);
    });
    const Arrival struck = ring.Await(deadline);
    const Arrival sent = ring.Await(send);
    EXPECT_EQ(struck.error(), Error::kTimedOut);
    ExpectPart(sent);
    EXPECT_LT(sent.order, struck.order);
    EXPECT_EQ(ring.Close(scene.pair.client, CloseMode::kReset).result(), 0);
  }
  Scene scene(ring);
  scene.tree.Write(scene.file, 0, "in time");
  const Token send = scene.Start(0, 7);
  const Token deadline =
      ring.Start([&](Token token) { return ring.PrepareDeadline(send, kLong, token); });
  EXPECT_EQ(ring.Await(send).result(), 7);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

// A peer that is gone ends it with an error, and raises no signal that would end this program.
TEST_P(RingConformance, FileSendToGonePeer) {
  TestRing& ring = MakeRing();
  Scene scene(ring);
  const Token send = scene.StartEndless();
  EXPECT_EQ(ring.Close(scene.pair.server, CloseMode::kReset).result(), 0);
  ExpectPart(ring.Await(send));
  for (int i = 0; i < 2; ++i) {
    const Error error = scene.Send(0, kEverything).error();
    EXPECT_TRUE(error == Error::kBrokenPipe || error == Error::kConnectionReset)
        << ErrorName(error);
  }
  const Pair shut = ring.MakePair();
  const Arrival done = ring.Run(
      [&](Token token) { return ring.PrepareShutdown(shut.client, Direction::kSend, token); });
  EXPECT_EQ(done.result(), 0);
  EXPECT_EQ(ring.Await(scene.Start(0, 1, shut.client)).error(), Error::kBrokenPipe);
}

// The close of the connection ends it, and comes after it.
TEST_P(RingConformance, FileSendAndCloseOfConnection) {
  TestRing& ring = MakeRing();
  for (const bool at_once : {false, true}) {
    Scene scene(ring);
    EXPECT_EQ(scene.tree.Truncate(scene.file, kMoreThanSocketsHoldBytes).error(), Error::kOk);
    const Token send = at_once ? scene.Start(0, kEverything) : scene.StartEndless();
    const Arrival closed = ring.Close(scene.pair.client, CloseMode::kReset);
    const Arrival sent = ring.Await(send);
    EXPECT_EQ(closed.result(), 0);
    if (!at_once || sent.error() != Error::kCanceled) ExpectPart(sent);
    EXPECT_LT(sent.order, closed.order);
    EXPECT_EQ(scene.Send(0, 1).error(), Error::kBadId);
  }
}

// The close of the file waits for it, and does not end it.
TEST_P(RingConformance, FileSendAndCloseOfFile) {
  constexpr size_t kBytes = 1'000'000;
  TestRing& ring = MakeRing();
  Scene scene(ring);
  const Pattern pattern(72);
  scene.Fill(pattern, kBytes);
  const Token send = scene.Start(0, kBytes);
  const Token close =
      ring.Start([&](Token token) { return ring.PrepareCloseFile(scene.file, token); });
  const std::span<std::byte> memory = ring.Memory(kBytes);
  const Token recv = ring.StartRecv(scene.pair.server, memory, TransferFlags::kAll);
  const Arrival closed = ring.Await(close);
  const Arrival sent = ring.Await(send);
  EXPECT_EQ(closed.result(), 0);
  EXPECT_EQ(sent.result(), static_cast<int32_t>(kBytes));
  EXPECT_LT(sent.order, closed.order);
  EXPECT_EQ(ring.Await(recv).result(), static_cast<int32_t>(kBytes));
  EXPECT_TRUE(pattern.Matches(memory, 0));
  EXPECT_EQ(scene.Send(0, 1).error(), Error::kBadId);
}

TEST_P(RingConformance, FileSendErrors) {
  constexpr uint64_t kPastEverything = uint64_t{1} << 63;
  TestRing& ring = MakeRing();
  Scene scene(ring);
  FileTree& tree = scene.tree;
  EXPECT_EQ(tree.Write(scene.file, 0, "content").result(), 7);
  const auto error = [&](FileId file, uint64_t offset, uint64_t length, ConnectionId connection) {
    return ring
        .Run([&](Token token) {
          return ring.PrepareSendFile(file, offset, length, connection, token);
        })
        .error();
  };
  const ConnectionId client = scene.pair.client;
  EXPECT_EQ(error(scene.file, 0, 0, client), Error::kInvalidArgument);
  EXPECT_EQ(error(scene.file, kPastEverything, 1, client), Error::kInvalidArgument);
  EXPECT_EQ(error(scene.file, kPastEverything - 1, 1, client), Error::kInvalidArgument);
  EXPECT_EQ(error(scene.file, kPastEverything - 2, 1, client), Error::kOk) << "behind its end";
  EXPECT_EQ(error(scene.file, kOwnPosition, 1, client), Error::kInvalidArgument);
  EXPECT_EQ(error(scene.file, 0, 1, ring.Datagram()), Error::kNotSupported);
  EXPECT_EQ(error(FileId{}, 0, 1, client), Error::kBadId);
  EXPECT_EQ(error(scene.file, 0, 1, ConnectionId{}), Error::kBadId);
  const FileId writes = tree.Open("file", {.access = FileOptions::Access::kWrite});
  const Error not_readable = error(writes, 0, 1, client);
  EXPECT_TRUE(not_readable == Error::kBadId || not_readable == Error::kInvalidArgument ||
              not_readable == Error::kPermissionDenied)
      << ErrorName(not_readable);
  tree.Close(writes);
  EXPECT_EQ(error(writes, 0, 1, client), Error::kBadId);
  EXPECT_EQ(error(tree.directory(), 0, 1, client), Error::kIsDirectory);
  const Pair gone = ring.MakePair();
  EXPECT_EQ(ring.Close(gone.client).result(), 0);
  EXPECT_EQ(error(scene.file, 0, 1, gone.client), Error::kBadId);
  EXPECT_EQ(scene.Send(0, kEverything).result(), 7) << "nothing was sent before";
  EXPECT_EQ(ring.RecvText(scene.pair.server, 7), "content");
}

// Where the table of operations has no place, it is refused, and nothing is changed.
TEST_P(RingConformance, FileSendIntoFullTable) {
  RingOptions options = Options();
  options.max_operations = 32;
  TestRing& ring = MakeRing(options);
  Scene scene(ring);
  EXPECT_EQ(scene.tree.Write(scene.file, 0, "content").result(), 7);
  std::vector<Token> timeouts;
  Prepared prepared = Prepared::kAccepted;
  while (prepared != Prepared::kOperationTableFull) {
    const Token token = ring.NewToken();
    prepared = ring.PrepareTimeout(kLong, Shots::kOneShot, token);
    if (prepared == Prepared::kAccepted) timeouts.push_back(token);
    if (prepared == Prepared::kSubmissionQueueFull) ring.Submit();
  }
  ring.Submit();
  ASSERT_GE(timeouts.size(), 2u);
  const Token refused = ring.NewToken();
  EXPECT_EQ(ring.PrepareSendFile(scene.file, 0, 7, scene.pair.client, refused),
            Prepared::kOperationTableFull);
  for (const Token timeout : timeouts) {
    EXPECT_EQ(ring.Await(ring.StartCancel(timeout)).result(), 0);
    EXPECT_EQ(ring.Await(timeout).error(), Error::kCanceled);
  }
  EXPECT_EQ(scene.Send(0, 7).result(), 7);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 7), "content");
}

// A table of one place has room for it, as soon as nothing else is in flight.
TEST_P(RingConformance, FileSendWithOneOperationAtATime) {
  RingOptions options = Options();
  options.max_operations = 1;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  const FileId file = tree.OpenNew("file");
  EXPECT_EQ(tree.Write(file, 0, "content").result(), 7);
  TestRing& other = MakeRing();
  const Pair pair = Connect(ring, other);
  const Arrival sent =
      ring.Run([&](Token token) { return ring.PrepareSendFile(file, 0, 7, pair.client, token); });
  EXPECT_EQ(sent.result(), 7);
  EXPECT_EQ(other.RecvText(pair.server, 7), "content");
  tree.Close(file);
}

// One free place in the table is enough, as it is for other operations.
TEST_P(RingConformance, SendFileInTheLastPlace) {
  RingOptions options = Options();
  options.max_operations = 2;
  TestRing& ring = MakeRing(options);
  Scene scene(ring);
  scene.Fill(Pattern(50), 100);
  const Token timer = ring.StartTimeout(kLong);
  const Token send = ring.NewToken();
  EXPECT_EQ(ring.PrepareSendFile(scene.file, 0, 100, scene.pair.client, send), Prepared::kAccepted);
  EXPECT_EQ(ring.Await(send).result(), 100);
  EXPECT_EQ(ring.RecvText(scene.pair.server, 100).size(), 100u);
  EXPECT_EQ(ring.Await(ring.StartCancel(timer)).result(), 0);
  EXPECT_EQ(ring.Await(timer).error(), Error::kCanceled);
}

}  // namespace
}  // namespace ioring
