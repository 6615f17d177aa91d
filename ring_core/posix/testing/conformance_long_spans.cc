// Spans that are longer than what one operation transfers: it transfers less, and nothing else.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// Memory of which only what is touched costs something.
class LongSpan {
 public:
  // Cut to 32 bits it is 0.
  static constexpr size_t kBytes = size_t{1} << 32;

  LongSpan() {
    int flags = MAP_PRIVATE | MAP_ANON;
#if defined(MAP_NORESERVE)  // FreeBSD and OpenBSD set nothing aside
    flags |= MAP_NORESERVE;
#endif
    void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory != MAP_FAILED) memory_ = {static_cast<std::byte*>(memory), kBytes};
  }
  LongSpan(const LongSpan&) = delete;
  LongSpan& operator=(const LongSpan&) = delete;
  ~LongSpan() {
    if (!memory_.empty()) munmap(memory_.data(), memory_.size());
  }

  std::span<std::byte> memory() const { return memory_; }
  std::string_view Text(size_t bytes) const { return AsText(memory_.first(bytes)); }

 private:
  std::span<std::byte> memory_;
};

TEST_P(RingConformance, TransfersOfLongSpansAreShort) {
  TestRing& ring = MakeRing();
  const LongSpan span;
  ASSERT_FALSE(span.memory().empty());
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, span.memory());
  EXPECT_EQ(ring.Send(pair.client, "hello").result(), 5);
  EXPECT_EQ(ring.Await(recv).result(), 5);
  EXPECT_EQ(span.Text(5), "hello");
  // As much as one operation transfers may be asked for whole.
  const Token all =
      ring.StartRecv(pair.server, span.memory().first(kTransferBytesMax), TransferFlags::kAll);
  EXPECT_EQ(ring.Send(pair.client, "HELLO").result(), 5);
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareShutdown(pair.client, Direction::kSend, token);
                })
                .result(),
            0);
  EXPECT_EQ(ring.Await(all).result(), 5);
  EXPECT_EQ(span.Text(5), "HELLO");
  const Arrival sent = ring.Await(ring.StartSend(pair.server, span.memory()));
  EXPECT_GT(sent.result(), 0) << ErrorName(sent.error());
}

TEST_P(RingConformance, DatagramsOfLongSpans) {
  TestRing& ring = MakeRing();
  const LongSpan span;
  ASSERT_FALSE(span.memory().empty());
  const ConnectionId socket = ring.Datagram();
  const ConnectionId sender = ring.Datagram();
  const absl::StatusOr<Endpoint> endpoint = ring.LocalEndpoint(socket);
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareSendTo(sender, span.memory(), *endpoint, token);
                })
                .error(),
            Error::kMessageTooLong);
  Endpoint* const source = ring.NewEndpoint();
  const Token recv = ring.Start(
      [&](Token token) { return ring.PrepareRecvFrom(socket, span.memory(), source, token); });
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareSendTo(sender, ring.Text("hello"), *endpoint, token);
                })
                .result(),
            5);
  EXPECT_EQ(ring.Await(recv).result(), 5);
  EXPECT_EQ(span.Text(5), "hello");
}

// ThreadSanitizer looks at each of the 2 GiB that a file's transfer is given, which takes minutes.
#if !defined(__SANITIZE_THREAD__)
TEST_P(RingConformance, FileTransfersOfLongSpansAreShort) {
  TestRing& ring = MakeRing();
  const LongSpan span;
  ASSERT_FALSE(span.memory().empty());
  const absl::StatusOr<FileId> nowhere =
      ring.OpenFile("/dev/null", {.access = FileOptions::Access::kWrite});
  ASSERT_TRUE(nowhere.ok()) << nowhere.status();
  EXPECT_EQ(
      ring.Run([&](Token token) { return ring.PrepareWrite(*nowhere, 0, span.memory(), token); })
          .result(),
      static_cast<int32_t>(kTransferBytesMax));
  EXPECT_TRUE(ring.CloseFile(*nowhere).ok());
  const std::string path = testing::TempDir() + "/long_span_" + std::to_string(getpid());
  const absl::StatusOr<FileId> file = ring.OpenFile(
      path, {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(
      ring.Run([&](Token token) { return ring.PrepareWrite(*file, 0, ring.Text("hello"), token); })
          .result(),
      5);
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareRead(*file, 0, span.memory(), token); })
                .result(),
            5);
  EXPECT_EQ(span.Text(5), "hello");
  EXPECT_TRUE(ring.CloseFile(*file).ok());
  EXPECT_EQ(unlink(path.c_str()), 0);
}
#endif

}  // namespace
}  // namespace ioring
