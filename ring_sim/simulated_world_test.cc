// The world itself: that runs can be had again, that time costs nothing, and each fault.
#include "ring_sim/simulated_world.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/disk.h"
#include "ring_sim/testing/two_hosts.h"

namespace ioring::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SimulatedWorld, TheSameSeedGivesTheSameRun) {
  Faults faults = Rough();
  faults.reset = 20'000;
  faults.refuse_connect = 100'000;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome first = RunEcho(seed, faults);
    const Outcome again = RunEcho(seed, faults);
    EXPECT_EQ(first.digest, again.digest);
    EXPECT_EQ(first.log, again.log);
    EXPECT_EQ(first.echoed, again.echoed);
    EXPECT_NE(first.digest, RunEcho(seed + 1000, faults).digest);
  }
}

// A change of what the world does changes the figure; another compiler or system does not.
TEST(SimulatedWorld, ARunIsTheSameOnEverySystem) {
  Faults faults = Rough();
  faults.reset = 20'000;
  EXPECT_EQ(RunEcho(42, faults).digest, 11600770923592486181u);
}

// Delays, limits of bandwidth, short and split transfers lose nothing.
TEST(SimulatedWorld, RoughStreamsLoseNothing) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(RunEcho(seed, Rough()).echoed, 20) << "seed " << seed;
  }
}

TEST(SimulatedWorld, ResetsAndRefusalsAreSeen) {
  Faults faults;
  faults.refuse_connect = 200'000;
  faults.reset = 50'000;
  const Outcome outcome = RunEcho(7, faults);
  EXPECT_GT(outcome.failed, 0);
  EXPECT_GT(outcome.echoed, 0);
  EXPECT_NE(outcome.log.find("refused"), std::string::npos);
  EXPECT_NE(outcome.log.find("reset"), std::string::npos);
}

// ---- Time.

TEST(SimulatedWorld, IdleTimeCostsNothing) {
  Two two(1);
  const auto start = two.world.Now();
  Submit(*two.client, two.client->PrepareTimeout(hours{300}, Shots::kOneShot, Token{1}));
  EXPECT_EQ(Next(*two.client, hours{10'000}).result, 0);
  EXPECT_GE(two.world.Now() - start, hours{300});
  EXPECT_LT(two.world.Now() - start, hours{301});
  EXPECT_LT(two.world.events(), 10u);
}

TEST(SimulatedWorld, DelaysAreKept) {
  Two two(1, {.faults = {.delay_min_ns = 1'000'000, .delay_max_ns = 1'000'000}});
  Echo echo(two, two.Listen());
  const auto start = two.world.Now();
  EXPECT_TRUE(EchoOnce(two, 0));
  // A connect, the text, and its answer: there and back twice.
  EXPECT_GE(two.world.Now() - start, milliseconds{4});
  EXPECT_LT(two.world.Now() - start, milliseconds{200});
}

// The timers of a callback's ring move the clock while another waits.
TEST(SimulatedWorld, AWaitLetsCallbacksGoOn) {
  Two two(1);
  int ticks = 0;
  EXPECT_EQ(two.server->PrepareTimeout(seconds{1}, Shots::kMultishot, Token{1}),
            Prepared::kAccepted);
  two.world.SetProgram(*two.server, [&](Ring& ring) {
    for (const Completion& completion : ring.Completions()) ticks += completion.ok() ? 1 : 0;
  });
  Submit(*two.client, two.client->PrepareTimeout(milliseconds{10'500}, Shots::kOneShot, Token{1}));
  EXPECT_EQ(Next(*two.client).result, 0);
  EXPECT_EQ(ticks, 10);
  two.world.RunFor(seconds{5});
  EXPECT_EQ(ticks, 15);
  EXPECT_TRUE(two.world.RunUntil([&] { return ticks == 20; }, seconds{60}));
  EXPECT_FALSE(two.world.RunUntil([&] { return ticks == 1'000; }, seconds{60}));
}

TEST(SimulatedWorldDeathTest, AWaitForNothingEndsTheProgram) {
  Two two(1);
  EXPECT_DEATH(two.client->SubmitAndWait(), "waits without end.*seed 1");
}

TEST(SimulatedWorldDeathTest, ACallbackThatTakesNothingEndsTheProgram) {
  Two two(7);
  two.world.SetProgram(*two.server, [](Ring&) {});
  EXPECT_EQ(two.server->PrepareNop(Token{1}), Prepared::kAccepted);
  EXPECT_DEATH(two.world.RunFor(seconds{1}), "ring 1 takes no completion, .*seed 7");
  two.world.SetProgram(*two.server, [](Ring& ring) {
    ring.Submit();
    EXPECT_EQ(ring.PrepareNop(Token{1}), Prepared::kAccepted);
  });
  EXPECT_DEATH(two.world.RunFor(seconds{1}), "takes no completion");
}

TEST(SimulatedWorld, ACallbackMayDestroyItsRing) {
  World world(1);
  std::unique_ptr<Ring> ring = *world.CreateRing(world.AddHost("host"), Small());
  world.SetProgram(*ring, [&](Ring& its_ring) {
    for (const Completion& completion : its_ring.Completions()) EXPECT_EQ(completion.result, 0);
    ring.reset();
  });
  EXPECT_EQ(ring->PrepareNop(Token{1}), Prepared::kAccepted);
  world.RunFor(seconds{1});
  EXPECT_EQ(ring, nullptr);
}

// Programs that are not run for a while find their timers late, and lose nothing.
TEST(SimulatedWorld, Pauses) {
  Faults faults = Rough();
  faults.pause = 50'000;
  const Outcome outcome = RunEcho(9, faults);
  EXPECT_EQ(outcome.echoed, 20);
  EXPECT_EQ(outcome.digest, RunEcho(9, faults).digest);
  EXPECT_NE(outcome.log.find("pause"), std::string::npos);
  EXPECT_EQ(RunEcho(9, Rough()).log.find("pause"), std::string::npos);
}

// A wake ends a wait, after its delay.
TEST(SimulatedWorld, Wakes) {
  Two two(1);
  two.client->Wake();
  EXPECT_EQ(Next(*two.client).token, kDefaultWakeToken);
  two.world.faults().wake_delay_max_ns = 10'000'000;
  const auto start = two.world.Now();
  for (int i = 0; i < 20; ++i) {
    two.client->Wake();
    const Completion wake = Next(*two.client);
    EXPECT_EQ(wake.token, kDefaultWakeToken);
    EXPECT_EQ(wake.result, 1);
  }
  EXPECT_GT(two.world.Now() - start, milliseconds{10});
  EXPECT_LT(two.world.Now() - start, milliseconds{201});
}

// What a program notes is in the log, and in the digest.
TEST(SimulatedWorld, TheLogHasWhatAProgramNotes) {
  uint64_t digests[2];
  for (const uint64_t value : {0, 1}) {
    SimulatedWorld world(1);
    world.Note(/*subject=*/77, value);
    EXPECT_NE(world.LogText().find("77 note"), std::string::npos) << world.LogText();
    digests[value] = world.digest();
  }
  EXPECT_NE(digests[0], digests[1]);
}

// ---- Partitions and time-outs.

TEST(SimulatedWorld, APartitionHoldsStreamsUntilItHeals) {
  Two two(1);
  Echo echo(two, two.Listen());
  two.world.Partition(two.server_host, two.client_host);
  two.world.After(seconds{10}, [&] { two.world.Heal(two.server_host, two.client_host); });
  const auto start = two.world.Now();
  EXPECT_TRUE(EchoOnce(two, 0));
  EXPECT_GE(two.world.Now() - start, seconds{10});
}

TEST(SimulatedWorld, APartitionOfOneWayIsAPartition) {
  for (const bool to_server : {false, true}) {
    Two two(1);
    Echo echo(two, two.Listen());
    two.world.SetReachable(to_server ? two.client_host : two.server_host,
                           to_server ? two.server_host : two.client_host, false);
    EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
    EXPECT_EQ(Next(*two.client).error(), Error::kTimedOut);
  }
}

TEST(SimulatedWorld, AStreamTimesOut) {
  Two two(1);
  Echo echo(two, two.Listen());
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  const ConnectionId id = Next(*two.client).connection();
  two.world.Partition(two.server_host, two.client_host);
  std::string text = "lost";
  EXPECT_EQ(two.client->PrepareSend(id, AsBytes(text), Token{2}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).result, 4);
  EXPECT_EQ(two.client->PrepareRecv(id, AsBytes(text), Token{3}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).error(), Error::kTimedOut);
}

TEST(SimulatedWorld, NobodyListens) {
  Two two(1);
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).error(), Error::kConnectionRefused);
  const Endpoint nobody = *Endpoint::Parse("10.0.0.3:7");
  EXPECT_EQ(two.client->PrepareConnect(nobody, Token{1}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).error(), Error::kHostUnreachable);
}

TEST(SimulatedWorld, AFullBacklogLetsConnectsWait) {
  Two two(1);
  const ListenerId listener = *two.server->CreateListener(kServer, {.backlog = 1});
  for (const uint64_t token : {1, 2}) {
    EXPECT_EQ(two.client->PrepareConnect(kServer, Token{token}), Prepared::kAccepted);
  }
  EXPECT_TRUE(Next(*two.client).ok());
  EXPECT_EQ(Next(*two.client, seconds{10}).error(), Error::kUnknown) << "there was no room";
  Submit(*two.server, two.server->PrepareAccept(listener, Shots::kOneShot, Token{1}));
  EXPECT_TRUE(Next(*two.server).ok());
  EXPECT_TRUE(Next(*two.client, seconds{10}).ok());
}

// ---- Hosts that stop.

// Its peers hear nothing, until it starts again and does not know them.
TEST(SimulatedWorld, AHostStopsAndStartsAgain) {
  Two two(1);
  auto echo = std::make_unique<Echo>(two, two.Listen());
  EXPECT_TRUE(EchoOnce(two, 0));
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  const ConnectionId id = Next(*two.client).connection();
  two.world.After(seconds{1}, [&] { two.world.StopHost(two.server_host); });
  two.world.RunFor(seconds{2});
  two.server.reset();  // with work in flight
  echo.reset();
  EXPECT_EQ(two.world.CreateRing(two.server_host, Small()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  std::string text = "who is there?";
  EXPECT_EQ(two.client->PrepareSend(id, AsBytes(text), Token{2}), Prepared::kAccepted);
  EXPECT_GT(Next(*two.client).result, 0);
  EXPECT_EQ(two.client->PrepareRecv(id, AsBytes(text), Token{3}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client, seconds{10}).error(), Error::kUnknown) << "nobody answers";
  two.world.StartHost(two.server_host);
  EXPECT_EQ(Next(*two.client, seconds{10}).error(), Error::kConnectionReset);
  two.server = *two.world.CreateRing(two.server_host, Small());
  echo = std::make_unique<Echo>(two, two.Listen());
  EXPECT_TRUE(EchoOnce(two, 1));
}

// ---- Datagrams.

struct Arrived {
  int count = 0;
  bool in_order = true;
};

Arrived SendDatagrams(const Faults& faults) {
  Two two(3, {.faults = faults});
  const ConnectionId to = *two.server->OpenDatagram(kServer);
  const ConnectionId from = *two.client->OpenDatagram(*Endpoint::Parse("10.0.0.2:0"));
  for (uint32_t i = 0; i < 200; ++i) {
    const std::span<const std::byte> memory = std::as_bytes(std::span<const uint32_t>(&i, 1));
    EXPECT_EQ(two.client->PrepareSendTo(from, memory, kServer, Token{1}), Prepared::kAccepted);
    EXPECT_EQ(Next(*two.client).result, 4);
  }
  Arrived arrived;
  uint32_t last = 0;
  for (;;) {
    uint32_t number = 0;
    Endpoint source;
    EXPECT_EQ(two.server->PrepareRecvFrom(
                  to, std::as_writable_bytes(std::span<uint32_t>(&number, 1)), &source, Token{2}),
              Prepared::kAccepted);
    const Completion completion = Next(*two.server, seconds{1});
    if (!completion.ok()) {
      // It did not come: it goes before its memory does.
      EXPECT_TRUE(Drain(*two.server, std::chrono::steady_clock::now() + seconds{20}).ok());
      return arrived;
    }
    EXPECT_EQ(source, *two.client->LocalEndpoint(from));
    ++arrived.count;
    if (number < last) arrived.in_order = false;
    last = number;
  }
}

TEST(SimulatedWorld, Datagrams) {
  const Arrived all = SendDatagrams({.delay_max_ns = 1'000'000});
  EXPECT_EQ(all.count, 200);
  EXPECT_TRUE(all.in_order);
  const Arrived lost = SendDatagrams({.lose_datagram = 200'000});
  EXPECT_LT(lost.count, 190);
  EXPECT_GT(lost.count, 100);
  EXPECT_GT(SendDatagrams({.duplicate_datagram = 200'000}).count, 210);
  const Arrived late = SendDatagrams({.late_datagram = 200'000, .late_ns = 20'000});
  EXPECT_EQ(late.count, 200);
  EXPECT_FALSE(late.in_order);
}

// ---- Disks.

int32_t Write(Ring& ring, FileId file, uint64_t offset, std::string text) {
  EXPECT_EQ(ring.PrepareWrite(file, offset, AsBytes(text), Token{1}), Prepared::kAccepted);
  return Next(ring).result;
}

int32_t Sync(Ring& ring, FileId file) {
  EXPECT_EQ(ring.PrepareSync(file, SyncMode::kData, Token{1}), Prepared::kAccepted);
  return Next(ring).result;
}

FileId Open(Ring& ring) {
  return *ring.OpenFile("/data", {.access = FileOptions::Access::kReadWrite,
                                  .create = FileOptions::Create::kIfNeeded});
}

void SyncNames(Ring& ring) {
  const FileId root = *ring.OpenFile("/", {.directory = true});
  EXPECT_EQ(Sync(ring, root), 0);
}

// What was synced is there after a loss of power; of the rest, any sectors.
TEST(SimulatedWorld, ALossOfPowerTakesWhatWasNotSynced) {
  constexpr size_t kSectors = 8;
  constexpr size_t kBytes = kSectors * Disk::kSectorBytes;
  size_t lost = 0;
  size_t kept = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Two two(seed);
    const FileId file = Open(*two.server);
    EXPECT_EQ(Write(*two.server, file, 0, std::string(kBytes, 'a')), int32_t{kBytes});
    EXPECT_EQ(Sync(*two.server, file), 0);
    SyncNames(*two.server);
    EXPECT_EQ(Write(*two.server, file, kBytes / 2, std::string(kBytes / 2, 'b')),
              int32_t{kBytes / 2});
    two.world.LosePower(two.server_host);
    const std::string left = *two.world.disk(two.server_host).Contents("/data");
    ASSERT_EQ(left.size(), kBytes);
    EXPECT_EQ(left.substr(0, kBytes / 2), std::string(kBytes / 2, 'a'));
    for (size_t at = kBytes / 2; at < kBytes; at += Disk::kSectorBytes) {
      const std::string sector = left.substr(at, Disk::kSectorBytes);
      EXPECT_EQ(sector, std::string(Disk::kSectorBytes, sector[0])) << "a sector is whole";
      ++(sector[0] == 'a' ? lost : kept);
    }
  }
  EXPECT_GT(lost, 0u);
  EXPECT_GT(kept, 0u);
}

TEST(SimulatedWorld, DisksFailAsTheyAreTold) {
  Two two(1, {.disk_bytes = 1'024});
  const FileId file = Open(*two.server);
  EXPECT_EQ(Write(*two.server, file, 0, std::string(1'025, 'x')), 1'024) << "what has room";
  EXPECT_EQ(ToError(Write(*two.server, file, 1'024, "x")), Error::kNoSpace);
  two.world.faults().disk_error = 1'000'000;
  EXPECT_EQ(ToError(Write(*two.server, file, 0, "y")), Error::kInputOutput);
  EXPECT_EQ(ToError(Sync(*two.server, file)), Error::kInputOutput);
  two.world.faults() = {.disk_full = 1'000'000};
  EXPECT_EQ(ToError(Write(*two.server, file, 0, "y")), Error::kNoSpace);
  two.world.faults() = {.short_file_transfer = 1'000'000};
  const int32_t part = Write(*two.server, file, 0, std::string(1'000, 'z'));
  EXPECT_GT(part, 0);
  EXPECT_LT(part, 1'000);
}

// Files take the time that they are told, and one that is cancelled meanwhile is not written.
TEST(SimulatedWorld, FilesTakeTime) {
  Two two(1, {.faults = {.disk_delay_min_ns = 5'000'000, .disk_delay_max_ns = 5'000'000}});
  const FileId file = Open(*two.server);
  const auto start = two.world.Now();
  EXPECT_EQ(Write(*two.server, file, 0, "x"), 1);
  EXPECT_GE(two.world.Now() - start, milliseconds{5});
  std::string text = "never";
  Submit(*two.server, two.server->PrepareWrite(file, 0, AsBytes(text), Token{1}));
  Submit(*two.server, two.server->PrepareCancel(Token{1}, Token{2}));
  int canceled = 0;
  for (int i = 0; i < 2; ++i) canceled += Next(*two.server).error() == Error::kCanceled ? 1 : 0;
  EXPECT_EQ(canceled, 1);
  two.world.RunFor(seconds{1});
  EXPECT_EQ(two.world.disk(two.server_host).Contents("/data"), "x");
}

// ---- Shortages, addresses, handles.

TEST(SimulatedWorld, Shortages) {
  Two two(1);
  two.Listen();
  two.world.faults().no_descriptor = 1'000'000;
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).error(), Error::kTooManyFiles);
  EXPECT_EQ(two.client->OpenDatagram(Endpoint::Ipv4Loopback(0)).status().code(),
            absl::StatusCode::kResourceExhausted);
  two.world.faults() = {.no_memory = 1'000'000};
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).error(), Error::kNoMemory);
  two.world.faults() = {};
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  EXPECT_TRUE(Next(*two.client).ok());
}

// Each host has loopback addresses of its own, and no other host's.
TEST(SimulatedWorld, HostsAreApart) {
  Two two(1);
  ASSERT_TRUE(two.server->CreateListener(*Endpoint::Parse("127.0.0.1:7"), {}).ok());
  EXPECT_EQ(two.client->CreateListener(kServer, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  const Endpoint loopback = *Endpoint::Parse("127.0.0.1:7");
  EXPECT_EQ(two.client->PrepareConnect(loopback, Token{1}), Prepared::kAccepted);
  EXPECT_EQ(Next(*two.client).error(), Error::kConnectionRefused);
  EXPECT_EQ(two.server->PrepareConnect(loopback, Token{1}), Prepared::kAccepted);
  EXPECT_TRUE(Next(*two.server).ok());
  EXPECT_FALSE(two.client->OpenFile("/data", {}).ok());
  Open(*two.server);
  EXPECT_FALSE(two.client->OpenFile("/data", {}).ok());
}

// Trap 9: a handle was cut to 32 bits.
TEST(SimulatedWorld, LargeHandlesAreNobodys) {
  Two two(1);
  two.Listen();
  EXPECT_EQ(two.client->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
  const absl::StatusOr<NativeHandle> handle =
      two.client->UnregisterSocket(Next(*two.client).connection());
  ASSERT_TRUE(handle.ok()) << handle.status();
  const auto large = static_cast<NativeHandle>(int64_t{*handle} + (int64_t{1} << 32));
  EXPECT_EQ(two.client->RegisterSocket(large).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(two.client->RegisterSocket(*handle).ok());
}

// What the closer sent is delivered, and its end, after it is gone.
TEST(SimulatedWorld, AClosedSocketGoesOnSending) {
  RingOptions options = Small();
  options.linger_time = std::chrono::nanoseconds{0};
  Two two(1, {.faults = {.bytes_per_second = 1'000'000}});
  const ListenerId listener = two.Listen();
  {
    const std::unique_ptr<Ring> sender = *two.world.CreateRing(two.client_host, options);
    EXPECT_EQ(sender->PrepareConnect(kServer, Token{1}), Prepared::kAccepted);
    const ConnectionId id = Next(*sender).connection();
    std::string text(200'000, 'x');
    EXPECT_EQ(sender->PrepareSend(id, AsBytes(text), Token{2}, TransferFlags::kAll),
              Prepared::kAccepted);
    EXPECT_EQ(Next(*sender).result, 200'000);
  }
  Submit(*two.server, two.server->PrepareAccept(listener, Shots::kOneShot, Token{1}));
  const ConnectionId id = Next(*two.server).connection();
  std::string text(300'000, '\0');
  EXPECT_EQ(two.server->PrepareRecv(id, AsBytes(text), Token{2}, TransferFlags::kAll),
            Prepared::kAccepted);
  EXPECT_EQ(Next(*two.server).result, 200'000);
}

}  // namespace
}  // namespace ioring::sim
