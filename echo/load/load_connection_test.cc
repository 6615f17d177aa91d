#include "echo/load/load_connection.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/load/histogram.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using ::testing::HasSubstr;

// A connection with its memory, and a wire that holds what it sent.
class Fixture {
 public:
  Fixture(const LoadShape& shape, size_t send_memory_bytes)
      : send_memory_(send_memory_bytes),
        start_times_(shape.depth),
        connection(3, shape, send_memory_, start_times_) {}

  // Sends what can be sent, as one send that is complete at once. Returns its size.
  size_t Send() {
    const std::span<const std::byte> bytes = connection.NextSend();
    if (bytes.empty()) return 0;
    wire.insert(wire.end(), bytes.begin(), bytes.end());
    connection.OnSendPrepared(bytes.size());
    connection.OnSent(bytes.size());
    return bytes.size();
  }

  // Gives the next `count` bytes of the wire back.
  absl::StatusOr<uint32_t> Echo(size_t count) {
    const std::span<const std::byte> bytes = std::span(wire).subspan(echoed, count);
    echoed += count;
    return connection.OnReceived(bytes, now, &histogram);
  }

 private:
  std::vector<std::byte> send_memory_;
  std::vector<LoadTime> start_times_;

 public:
  LoadConnection connection;
  LatencyHistogram histogram;
  LoadTime now;
  std::vector<std::byte> wire;
  size_t echoed = 0;
};

TEST(LoadConnectionTest, SendsNothingBeforeAMessageIsAdmitted) {
  Fixture test({.message_bytes = 64, .depth = 2}, 128);
  EXPECT_EQ(test.connection.Window(), 2u);
  EXPECT_TRUE(test.connection.NextSend().empty());
  test.connection.Admit(test.now);
  EXPECT_EQ(test.connection.Window(), 1u);
  EXPECT_EQ(test.connection.NextSend().size(), 64u);
}

TEST(LoadConnectionTest, MessagesAdmittedTogetherGoOutAsOneSend) {
  Fixture test({.message_bytes = 64, .depth = 4}, 256);
  for (int i = 0; i < 4; ++i) test.connection.Admit(test.now);
  EXPECT_EQ(test.connection.Window(), 0u);
  EXPECT_EQ(test.Send(), 256u);
}

TEST(LoadConnectionTest, MessagesAdmittedDuringASendGoOutAfterIt) {
  Fixture test({.message_bytes = 64, .depth = 4}, 256);
  test.connection.Admit(test.now);
  test.connection.OnSendPrepared(test.connection.NextSend().size());
  test.connection.Admit(test.now);
  test.connection.Admit(test.now);
  EXPECT_TRUE(test.connection.NextSend().empty());
  test.connection.OnSent(64);
  EXPECT_EQ(test.connection.NextSend().size(), 128u);
}

TEST(LoadConnectionTest, AShortSendGoesOnWhereItStopped) {
  Fixture test({.message_bytes = 64, .depth = 1}, 64);
  test.connection.Admit(test.now);
  const std::span<const std::byte> first = test.connection.NextSend();
  test.wire.assign(first.begin(), first.begin() + 10);
  test.connection.OnSendPrepared(64);
  test.connection.OnSent(10);
  EXPECT_EQ(test.Send(), 54u);
  EXPECT_EQ(test.Echo(64).value(), 1u);
}

TEST(LoadConnectionTest, AMessageLargerThanTheMemoryGoesOutInPieces) {
  Fixture test({.message_bytes = 1'000, .depth = 1}, 300);
  test.connection.Admit(test.now);
  for (size_t expected : {300u, 300u, 300u, 100u, 0u}) EXPECT_EQ(test.Send(), expected);
  EXPECT_EQ(test.Echo(999).value(), 0u);
  EXPECT_EQ(test.Echo(1).value(), 1u);
}

TEST(LoadConnectionTest, OneReceiveMayEndSeveralMessages) {
  Fixture test({.message_bytes = 10, .depth = 4}, 40);
  for (int i = 0; i < 4; ++i) test.connection.Admit(test.now);
  test.Send();
  EXPECT_EQ(test.Echo(25).value(), 2u);
  EXPECT_EQ(test.connection.in_flight(), 2u);
  EXPECT_EQ(test.Echo(5).value(), 1u);
  EXPECT_EQ(test.Echo(10).value(), 1u);
  EXPECT_EQ(test.connection.in_flight(), 0u);
  EXPECT_EQ(test.histogram.count(), 4u);
}

TEST(LoadConnectionTest, LatencyCountsFromEachMessagesOwnStart) {
  Fixture test({.message_bytes = 8, .depth = 2}, 16);
  // More messages than slots for starts, so that the circle goes round.
  for (int i = 0; i < 5; ++i) {
    test.connection.Admit(test.now);
    test.now += microseconds{100};
    test.connection.Admit(test.now);
    test.now += microseconds{100};
    test.Send();
    EXPECT_EQ(test.Echo(8).value(), 1u);
    EXPECT_EQ(test.Echo(8).value(), 1u);
  }
  EXPECT_EQ(test.histogram.count(), 10u);
  EXPECT_EQ(test.histogram.min(), nanoseconds{microseconds{100}});
  EXPECT_EQ(test.histogram.max(), nanoseconds{microseconds{200}});
  EXPECT_EQ(test.histogram.Mean(), nanoseconds{microseconds{150}});
}

TEST(LoadConnectionTest, WithoutAHistogramNothingIsRecorded) {
  Fixture test({.message_bytes = 8, .depth = 1}, 8);
  test.connection.Admit(test.now);
  test.Send();
  EXPECT_EQ(test.connection.OnReceived(test.wire, test.now, nullptr).value(), 1u);
  EXPECT_EQ(test.histogram.count(), 0u);
}

TEST(LoadConnectionTest, AnySplitOfTheStreamIsVerified) {
  Fixture test({.message_bytes = 37, .depth = 8}, 100);
  size_t piece = 1;
  for (int round = 0; round < 200; ++round) {
    while (test.connection.Window() > 0) test.connection.Admit(test.now);
    while (test.Send() > 0) {
    }
    while (test.echoed < test.wire.size()) {
      const size_t count = std::min(piece, test.wire.size() - test.echoed);
      ASSERT_TRUE(test.Echo(count).ok());
      piece = piece % 61 + 1;
    }
  }
  EXPECT_EQ(test.histogram.count(), 1'600u);
}

TEST(LoadConnectionTest, AWrongByteIsNamed) {
  Fixture test({.message_bytes = 64, .depth = 1}, 64);
  for (int i = 0; i < 3; ++i) {
    test.connection.Admit(test.now);
    test.Send();
    if (i == 2) test.wire[150] ^= std::byte{0x40};
    const absl::StatusOr<uint32_t> messages = test.Echo(64);
    ASSERT_EQ(messages.ok(), i < 2);
    if (i < 2) continue;
    EXPECT_EQ(messages.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(messages.status().message()),
                HasSubstr("connection 3: the echo is wrong at byte 150: expected 0x"));
  }
}

TEST(LoadConnectionTest, WithoutVerificationAWrongByteIsNot) {
  Fixture test({.message_bytes = 64, .depth = 1, .verify = false}, 64);
  test.connection.Admit(test.now);
  test.Send();
  test.wire[10] ^= std::byte{0x40};
  EXPECT_EQ(test.Echo(64).value(), 1u);
}

TEST(LoadConnectionTest, MoreBytesThanWereSentAreAnError) {
  for (bool verify : {false, true}) {
    Fixture test({.message_bytes = 64, .depth = 1, .verify = verify}, 64);
    test.connection.Admit(test.now);
    test.Send();
    test.wire.push_back(std::byte{0});
    const absl::StatusOr<uint32_t> messages = test.Echo(65);
    ASSERT_FALSE(messages.ok());
    EXPECT_THAT(std::string(messages.status().message()),
                HasSubstr("connection 3: 65 bytes came back, of which only 64 had been sent"));
  }
}

TEST(LoadConnectionTest, AnEchoMayOvertakeTheSendsCompletion) {
  Fixture test({.message_bytes = 64, .depth = 1}, 64);
  test.connection.Admit(test.now);
  const std::span<const std::byte> bytes = test.connection.NextSend();
  test.connection.OnSendPrepared(bytes.size());
  EXPECT_EQ(test.connection.OnReceived(bytes, test.now, nullptr).value(), 1u);
  test.connection.OnSent(64);
  EXPECT_TRUE(test.connection.NextSend().empty());
}

TEST(LoadConnectionTest, ConnectionsSendDifferentBytes) {
  const LoadShape shape{.message_bytes = 64, .depth = 1};
  std::vector<std::byte> memory[2] = {std::vector<std::byte>(64), std::vector<std::byte>(64)};
  std::vector<LoadTime> starts[2] = {std::vector<LoadTime>(1), std::vector<LoadTime>(1)};
  for (uint32_t i = 0; i < 2; ++i) {
    LoadConnection connection(i, shape, memory[i], starts[i]);
    connection.Admit(LoadTime());
    EXPECT_EQ(connection.NextSend().size(), 64u);
  }
  EXPECT_NE(memory[0], memory[1]);
}

// Also where the circle of start times has begun anew.
TEST(LoadConnectionTest, RecordsTheAgesOfWhatIsOnItsWay) {
  Fixture test({.message_bytes = 10, .depth = 2}, 100);
  for (int i = 0; i < 2; ++i) test.connection.Admit(test.now);
  test.Send();
  ASSERT_TRUE(test.Echo(10).ok());
  test.connection.Admit(test.now + microseconds(5));
  LatencyHistogram ages;
  test.connection.RecordInFlight(test.now + microseconds(7), ages);
  EXPECT_EQ(ages.count(), 2u);
  EXPECT_EQ(ages.min(), microseconds(2));
  EXPECT_EQ(ages.max(), microseconds(7));
}

}  // namespace
}  // namespace ioring
