// Many clients at once, and clients that behave badly, do not disturb others; and when they
// are gone, the server holds what it held before.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/footprint.h"
#include "echo/testing/server_process.h"
#include "echo/testing/server_report.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);
const char kReports[] = "--report_interval=100ms";
// What a server may keep when the same happens again: a slab of its pool, and change.
// AddressSanitizer keeps freed memory back (its quarantine, 256 MiB).
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kResidentBytesBand = 300 << 20;
#else
constexpr uint64_t kResidentBytesBand = 6 << 20;
#endif

class ManyClientsTest : public EchoServerTest {
 protected:
  // What `server` holds once it has as many descriptors as in `idle` again: it may not have closed
  // yet what a client has left.
  Footprint FootprintLike(const ServerProcess& server, const Footprint& idle) {
    Footprint now;
    EXPECT_TRUE(Eventually(
        [&] {
          now = FootprintOf(server.pid());
          return now.descriptors == idle.descriptors;
        },
        kDeadline))
        << "descriptors: " << idle.descriptors << ", now " << now.descriptors;
    return now;
  }

  // Expects that `server` comes back to `before`.
  void ExpectFootprint(const ServerProcess& server, const Footprint& before) {
    Footprint now;
    EXPECT_TRUE(Eventually(
        [&] {
          now = FootprintOf(server.pid());
          return now.descriptors == before.descriptors && now.threads == before.threads &&
                 now.resident_bytes <= before.resident_bytes + kResidentBytesBand;
        },
        kDeadline))
        << "descriptors: " << before.descriptors << ", now " << now.descriptors
        << "; threads: " << before.threads << ", now " << now.threads
        << "; bytes: " << before.resident_bytes << ", now " << now.resident_bytes;
  }

  // Expects that the server comes to hold nothing of any client, then stops it.
  void ExpectNothingLeft(ServerProcess& server) {
    EXPECT_TRUE(Eventually(
        [&] { return LastReportedConnections(server.Output()).value_or(1) == 0; }, kDeadline))
        << server.Output();
    const std::string output = Stop(server);
    EXPECT_EQ(FinalStatistic(output, "connections_open").value_or(1), 0u) << output;
    EXPECT_EQ(FinalStatistic(output, "buffers_in_use").value_or(1), 0u) << output;
    EXPECT_EQ(FinalStatistic(output, "connections_timed_out").value_or(1), 0u) << output;
    EXPECT_GT(FinalStatistic(output, "connections_accepted").value_or(0), 0u) << output;
  }
};

// As many as were asked for, or, loudly, as the limit of descriptors allows.
size_t ConnectionsWithin(uint64_t descriptors, size_t wanted) {
  constexpr uint64_t kOthers = 100;
  if (descriptors >= 2 * wanted + kOthers) return wanted;
  const size_t fewer = (descriptors - kOthers) / 2;
  std::fprintf(stderr,
               "*** THE HARD LIMIT OF DESCRIPTORS IS %llu: %zu CONNECTIONS INSTEAD OF %zu ***\n",
               static_cast<unsigned long long>(descriptors), fewer, wanted);
  return fewer;
}

TEST_P(ManyClientsTest, FiveThousandAtOnce) {
  const size_t count = ConnectionsWithin(RaiseDescriptorLimit(), 5000);
  auto server = StartServer({kReports, absl::StrCat("--max_connections=", count + 10)});
  ASSERT_NE(server, nullptr);
  const Footprint idle = FootprintOf(server->pid());
  Footprint before;
  for (int wave = 0; wave < 3; ++wave) {
    std::vector<ClientSocket> clients;
    for (size_t i = 0; i < count; ++i) {
      clients.push_back(Connect(*server));
      ASSERT_TRUE(clients.back().is_open()) << i;
    }
    std::vector<std::byte> bytes(700);
    for (uint64_t position : {uint64_t{0}, uint64_t{700}}) {
      for (size_t i = 0; i < count; ++i) {
        FillPattern(i, position, bytes);
        ASSERT_EQ(clients[i].Send(bytes), absl::OkStatus()) << i;
      }
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(clients[i].Recv(bytes), absl::OkStatus()) << i;
        ASSERT_TRUE(MatchesPattern(i, position, bytes)) << i;
      }
    }
    for (ClientSocket& client : clients) ASSERT_EQ(client.ShutdownSend(), absl::OkStatus());
    for (ClientSocket& client : clients) ASSERT_EQ(client.RecvEnd(), absl::OkStatus());
    clients.clear();
    // The first wave brings memory to what it may stay at.
    if (wave == 0) before = FootprintLike(*server, idle);
  }
  ExpectFootprint(*server, before);
  ExpectNothingLeft(*server);
}

// What a client does before it resets its connection.
enum class Before { kNothing, kUnread, kUnsent };

void ConnectAndReset(ClientSocket client, Before before) {
  if (before == Before::kUnread) {
    std::vector<std::byte> bytes(10'000);
    client.Send(bytes).IgnoreError();
    client.Recv(std::span(bytes).first(1)).IgnoreError();
  } else if (before == Before::kUnsent) {
    // More than the server can send back while nobody reads.
    client.SetSendBuffer(64 << 10);
    std::vector<std::byte> bytes(1 << 20);
    client.SendSome(bytes).IgnoreError();
    client.SendSome(bytes).IgnoreError();
  }
  client.Reset();
}

TEST_P(ManyClientsTest, AHundredResetsPerSecond) {
  auto server = StartServer({kReports});
  ASSERT_NE(server, nullptr);
  ClientSocket witness = Connect(*server);
  ASSERT_EQ(witness.EchoPattern(0, 0, 100'000), absl::OkStatus());
  uint64_t position = 100'000;
  const Footprint idle = FootprintOf(server->pid());
  Footprint before;
  Pace pace(100);
  for (int i = 0; i < 300; ++i) {
    ConnectAndReset(Connect(*server), static_cast<Before>(i % 3));
    ASSERT_EQ(witness.EchoPattern(0, position, 3000), absl::OkStatus()) << i;
    position += 3000;
    if (i == 100) before = FootprintLike(*server, idle);
    pace.Wait();
  }
  ExpectFootprint(*server, before);
  witness.Close();
  ExpectNothingLeft(*server);
}

TEST_P(ManyClientsTest, ReadersThatStallForSeconds) {
  constexpr uint64_t kStalled = 8;
  auto server = StartServer({kReports});
  ASSERT_NE(server, nullptr);
  const Footprint idle = FootprintOf(server->pid());
  Footprint before;
  for (int wave = 0; wave < 2; ++wave) {
    std::vector<ClientSocket> stalled;
    std::vector<uint64_t> sent;
    for (uint64_t i = 0; i < kStalled; ++i) {
      stalled.push_back(Connect(*server));
      stalled.back().SetRecvBuffer(32 << 10);
      const absl::StatusOr<uint64_t> bytes = stalled.back().SendUntilBlocked(i);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      sent.push_back(*bytes);
    }
    // Others are served all the while.
    ClientSocket witness = Connect(*server);
    const absl::Time end = absl::Now() + absl::Seconds(2);
    for (uint64_t position = 0; absl::Now() < end; position += 5000) {
      ASSERT_EQ(witness.EchoPattern(99, position, 5000), absl::OkStatus());
    }
    for (uint64_t i = 0; i < kStalled; ++i) {
      ASSERT_EQ(stalled[i].RecvPattern(i, sent[i]), absl::OkStatus()) << i;
      ASSERT_EQ(stalled[i].ShutdownSend(), absl::OkStatus());
      ASSERT_EQ(stalled[i].RecvEnd(), absl::OkStatus());
    }
    witness.Close();
    stalled.clear();
    if (wave == 0) before = FootprintLike(*server, idle);
  }
  ExpectFootprint(*server, before);
  ExpectNothingLeft(*server);
}

// Readers that never read again are no reason to keep anything once they are gone.
TEST_P(ManyClientsTest, StalledReadersThatReset) {
  auto server = StartServer({kReports});
  ASSERT_NE(server, nullptr);
  ClientSocket witness = Connect(*server);
  for (uint64_t wave = 0; wave < 3; ++wave) {
    std::vector<ClientSocket> stalled;
    for (uint64_t i = 0; i < 4; ++i) {
      stalled.push_back(Connect(*server));
      ASSERT_TRUE(stalled.back().SendUntilBlocked(i).ok());
    }
    for (ClientSocket& client : stalled) client.Reset();
    ASSERT_EQ(witness.EchoPattern(9, wave * 5000, 5000), absl::OkStatus());
  }
  witness.Close();
  ExpectNothingLeft(*server);
}

INSTANTIATE_TEST_SUITE_P(Servers, ManyClientsTest, testing::ValuesIn(AllServers()), EchoServerName);

}  // namespace
}  // namespace ioring
