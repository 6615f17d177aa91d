// What bit this library on io_uring: a cancel that finds nothing, although its target lives.
//
// The kernel does not find what lies between its poll and its next try. That takes it a moment
// which no test can hold. Here the cancel is aimed elsewhere instead, so that the kernel's answer
// is the same, -ENOENT.
#include <liburing.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

constexpr uint32_t kEntries = 16;
constexpr uint64_t kNobody = ~uint64_t{0};

struct Scene {
  UringTester ring{{.submission_entries = kEntries}};
  SubmissionEntries entries{kEntries};
  UringTester::Accepted connection = ring.Register(UnixPair());
  ConnectionId datagrams;
  ListenerId listener;
  BufferGroupId group;
  std::array<std::byte, 64> memory;
  std::array<std::byte, 256> buffers;
  Endpoint source;
};

// What waits, for ever, and is to be cancelled.
struct Target {
  const char* name;
  std::function<Prepared(Scene&, Token)> prepare;
};
void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }
std::string TargetName(const testing::TestParamInfo<Target>& target) { return target.param.name; }

std::vector<Target> Receives() {
  return {
      {"Plain",
       [](Scene& scene, Token token) {
         return scene.ring->PrepareRecv(scene.connection.id, scene.memory, token);
       }},
      {"All",
       [](Scene& scene, Token token) {
         return scene.ring->PrepareRecv(scene.connection.id, scene.memory, token,
                                        TransferFlags::kAll);
       }},
      {"Managed",
       [](Scene& scene, Token token) {
         return scene.ring->PrepareRecvManaged(scene.connection.id, scene.group, Shots::kMultishot,
                                               token);
       }},
  };
}

std::vector<Target> Others() {
  return {
      {"Datagram",
       [](Scene& scene, Token token) {
         return scene.ring->PrepareRecvFrom(scene.datagrams, scene.memory, &scene.source, token);
       }},
      {"Poll",
       [](Scene& scene, Token token) {
         return scene.ring->PreparePollAdd(scene.connection.id, kPollReadable, Shots::kMultishot,
                                           token);
       }},
      {"Accept",
       [](Scene& scene, Token token) {
         return scene.ring->PrepareAccept(scene.listener, Shots::kMultishot, token);
       }},
  };
}

class UnfoundTest : public testing::TestWithParam<Target> {
 protected:
  UnfoundTest() {
    const absl::StatusOr<ConnectionId> datagrams =
        scene_.ring->OpenDatagram(Endpoint::Ipv4Loopback(0));
    CHECK_OK(datagrams.status());
    scene_.datagrams = *datagrams;
    const absl::StatusOr<BufferGroupId> group =
        scene_.ring->RegisterBufferGroup({.memory = scene_.buffers, .buffer_bytes = 64});
    CHECK_OK(group.status());
    scene_.group = *group;
    scene_.listener = scene_.ring.Listen();
  }
  // Runs what `prepare` prepares, which cancels, while the kernel does not find the target at
  // first.
  template <typename Prepare>
  void ExpectFoundLater(Prepare prepare, int32_t result) {
    UringTester& ring = scene_.ring;
    const Token target = ring.Start([&](Token token) { return GetParam().prepare(scene_, token); });
    ring->Submit();
    const Token cancel = ring.Start([&](Token token) { return prepare(target, token); });
    const std::optional<uint64_t> aim = MissTheTarget();
    ASSERT_TRUE(aim.has_value());
    ASSERT_EQ(ring.Next(cancel).result, result);
    ASSERT_EQ(ring.Next(target).error(), Error::kCanceled);
    EXPECT_EQ(CancelsOf(*aim), 1u) << "it is asked for once more, and not again and again";
  }

  Scene scene_;

 private:
  // The only cancel that there is aims at nobody from now on. Returns where it was aimed.
  std::optional<uint64_t> MissTheTarget() {
    std::optional<uint64_t> aim;
    for (io_uring_sqe& entry : scene_.entries.all()) {
      if (entry.opcode != IORING_OP_ASYNC_CANCEL) continue;
      if (aim.has_value()) return std::nullopt;
      aim = std::exchange(entry.addr, kNobody);
    }
    return aim;
  }
  size_t CancelsOf(uint64_t aim) {
    size_t count = 0;
    for (const io_uring_sqe& entry : scene_.entries.all()) {
      if (entry.opcode == IORING_OP_ASYNC_CANCEL && entry.addr == aim) ++count;
    }
    return count;
  }
};

// The caller's own cancel.
TEST_P(UnfoundTest, IsAskedForOnceMore) {
  ExpectFoundLater(
      [&](Token target, Token token) { return scene_.ring->PrepareCancel(target, token); }, 0);
}

INSTANTIATE_TEST_SUITE_P(Receives, UnfoundTest, testing::ValuesIn(Receives()), TargetName);
INSTANTIATE_TEST_SUITE_P(Others, UnfoundTest, testing::ValuesIn(Others()), TargetName);

// The ring's cancels, of which no completion tells the caller.
class UnfoundOfAConnectionTest : public UnfoundTest {};

TEST_P(UnfoundOfAConnectionTest, IsAskedForOnceMore) {
  ExpectFoundLater(
      [&](Token /*target*/, Token token) {
        return scene_.ring->PrepareCancelConnection(scene_.connection.id, Direction::kRecv, token);
      },
      1);
}

INSTANTIATE_TEST_SUITE_P(Receives, UnfoundOfAConnectionTest, testing::ValuesIn(Receives()),
                         TargetName);

// A submit has asked all of them to stop, however often the queue is full meanwhile: a wait that
// does not submit leaves none behind.
TEST(UringCancelTest, ASubmitAsksMoreThanManyQueuesHold) {
  constexpr size_t kPolls = 300;
  UringTester ring({.submission_entries = 8, .max_operations = kPolls + 8});
  const UringTester::Accepted connection = ring.Register(UnixPair());
  std::vector<Token> polls;
  for (size_t i = 0; i < kPolls; ++i) {
    polls.push_back(ring.Start([&](Token token) {
      return ring->PreparePollAdd(connection.id, kPollReadable, Shots::kOneShot, token);
    }));
    ring->Submit();
  }
  ring.Start([&](Token token) { return ring->PrepareCancelAll(token); });
  ring->Submit();
  // It stays prepared, so that the waits submit nothing.
  const Token nop = ring.Start([&](Token token) { return ring->PrepareNop(token); });
  size_t ended = 0;
  while (ended < kPolls) {
    ASSERT_NE(ring->WaitCompletions({.timeout = kPatience}), 0u) << ended << " have ended";
    for (const Token poll : polls) ended += ring.Ready(poll);
  }
  EXPECT_EQ(ring.Next(nop).result, 0);
}

}  // namespace
}  // namespace ioring::uring
