// Spans that are longer than what one operation transfers: it transfers less, and nothing else.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/file.h"
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

// Parts of these sizes, which all begin where the span does.
std::vector<MemoryPart> PartsOf(const LongSpan& span, const std::vector<size_t>& sizes) {
  std::vector<MemoryPart> parts;
  for (const size_t size : sizes) parts.push_back({span.memory().data(), size});
  return parts;
}

// The least that a transfer of the parts makes whose file takes all: of those that fit as a whole,
// or of a first one that does not, as much as one operation transfers.
int64_t LeastOf(const std::vector<MemoryPart>& parts) {
  size_t bytes = 0;
  for (const MemoryPart& part : parts) {
    if (part.size > kTransferBytesMax - bytes) break;
    bytes += part.size;
  }
  return static_cast<int64_t>(bytes != 0 ? bytes : kTransferBytesMax);
}

// Sums that would be negative, small or nothing in 32 bits. A short transfer may end after a part.
TEST_P(RingConformance, FileVectorsOfLongSumsAreShort) {
  TestRing& ring = MakeRing();
  const LongSpan span;
  ASSERT_FALSE(span.memory().empty());
  constexpr size_t kGibi = size_t{1} << 30;
  const std::vector<size_t> many(kMemoryPartsMax, LongSpan::kBytes / kMemoryPartsMax);
  const absl::StatusOr<FileId> nowhere =
      ring.OpenFile("/dev/null", {.access = FileOptions::Access::kWrite});
  ASSERT_TRUE(nowhere.ok()) << nowhere.status();
  for (const std::vector<size_t>& sizes :
       {std::vector<size_t>{kTransferBytesMax, 5}, std::vector<size_t>{kGibi, kGibi},
        std::vector<size_t>{2 * kGibi, 2 * kGibi, 5}, std::vector<size_t>{0, 4 * kGibi, 5}, many}) {
    SCOPED_TRACE(testing::PrintToString(sizes.front()));
    const std::vector<MemoryPart> parts = PartsOf(span, sizes);
    const Arrival written =
        ring.Run([&](Token token) { return ring.PrepareWriteVector(*nowhere, 0, parts, token); });
    EXPECT_GE(written.result(), LeastOf(parts)) << ErrorName(written.error());
    EXPECT_LE(written.result(), static_cast<int64_t>(kTransferBytesMax));
  }
  EXPECT_TRUE(ring.CloseFile(*nowhere).ok());
  // The same little memory again and again. The system may end such a read early.
  const absl::StatusOr<FileId> zeros = ring.OpenFile("/dev/zero", {});
  ASSERT_TRUE(zeros.ok()) << zeros.status();
  span.memory()[0] = std::byte{1};
  const std::vector<MemoryPart> parts = PartsOf(span, many);
  const Arrival read =
      ring.Run([&](Token token) { return ring.PrepareReadVector(*zeros, 0, parts, token); });
  EXPECT_GT(read.result(), 0) << ErrorName(read.error());
  EXPECT_LE(read.result(), static_cast<int64_t>(kTransferBytesMax));
  EXPECT_EQ(span.memory()[0], std::byte{0});
  EXPECT_TRUE(ring.CloseFile(*zeros).ok());
}
#endif

}  // namespace
}  // namespace ioring
