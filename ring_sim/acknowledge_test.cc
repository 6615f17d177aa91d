// An example: a server that stores numbers, and a test that takes its power away. One that
// acknowledges before it has synced is found out within a few seeds.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/disk.h"
#include "ring_sim/random.h"
#include "ring_sim/simulated_world.h"

namespace ioring {
namespace {

using std::chrono::microseconds;

const Endpoint kServer = Endpoint::Ipv4({10, 0, 0, 1}, 7);

// Seeds within which a test is to find the defect.
constexpr uint64_t kSeeds = 20;

enum class Kind : uint8_t { kAccept, kConnect, kRecv, kWrite, kSync, kSyncName, kSend };

void Check(Prepared prepared) { EXPECT_EQ(prepared, Prepared::kAccepted); }

std::span<std::byte> BytesOf(uint64_t& number) {
  return std::as_writable_bytes(std::span<uint64_t>(&number, 1));
}

// Takes numbers from one client, writes each to a file, and answers with it. It knows nothing of
// a simulation.
class Store {
 public:
  Store(Ring& ring, bool syncs_first)
      : ring_(ring), syncs_first_(syncs_first), listener_(*ring.CreateListener(kServer, {})) {
    file_ = *ring.OpenFile("/numbers", {.access = FileOptions::Access::kWrite,
                                        .create = FileOptions::Create::kIfNeeded});
    if (!syncs_first) {
      Accept();
      return;
    }
    // A number is lost if the file's name is.
    const FileId root = *ring.OpenFile("/", {.directory = true});
    Check(ring.PrepareSync(root, SyncMode::kData, MakeToken(Kind::kSyncName)));
  }

  void Handle(const Completion& completion) {
    if (completion.result < 0) return;
    switch (KindOf<Kind>(completion.token)) {
      case Kind::kAccept:
        client_ = completion.connection();
        return Recv();
      case Kind::kRecv:
        if (completion.result == 0) return;
        return Check(
            ring_.PrepareWrite(file_, 8 * number_, BytesOf(number_), MakeToken(Kind::kWrite)));
      case Kind::kWrite:
        if (!syncs_first_) Answer();  // the defect
        return Check(ring_.PrepareSync(file_, SyncMode::kData, MakeToken(Kind::kSync)));
      case Kind::kSync:
        if (syncs_first_) Answer();
        return;
      case Kind::kSend:
        return Recv();
      case Kind::kSyncName:
        return Accept();
      case Kind::kConnect:
        return;
    }
  }

 private:
  void Accept() {
    Check(ring_.PrepareAccept(listener_, Shots::kOneShot, MakeToken(Kind::kAccept)));
  }
  void Recv() {
    Check(
        ring_.PrepareRecv(client_, BytesOf(number_), MakeToken(Kind::kRecv), TransferFlags::kAll));
  }
  void Answer() {
    answer_ = number_;
    Check(
        ring_.PrepareSend(client_, BytesOf(answer_), MakeToken(Kind::kSend), TransferFlags::kAll));
  }

  Ring& ring_;
  const bool syncs_first_;
  const ListenerId listener_;
  FileId file_;
  ConnectionId client_;
  uint64_t number_ = 0;
  uint64_t answer_ = 0;
};

// Sends 0, 1, 2, each when the one before it was acknowledged.
class Client {
 public:
  explicit Client(Ring& ring) : ring_(ring) {
    Check(ring.PrepareConnect(kServer, MakeToken(Kind::kConnect)));
  }

  uint64_t acknowledged() const { return acknowledged_; }

  void Handle(const Completion& completion) {
    if (completion.result < 0) return;
    switch (KindOf<Kind>(completion.token)) {
      case Kind::kConnect:
        server_ = completion.connection();
        return Send();
      case Kind::kRecv:
        if (completion.result != 8) return;
        EXPECT_EQ(answer_, acknowledged_);
        ++acknowledged_;
        return Send();
      default:
        return;
    }
  }

 private:
  void Send() {
    number_ = acknowledged_;
    Check(
        ring_.PrepareSend(server_, BytesOf(number_), MakeToken(Kind::kSend), TransferFlags::kAll));
    Check(
        ring_.PrepareRecv(server_, BytesOf(answer_), MakeToken(Kind::kRecv), TransferFlags::kAll));
  }

  Ring& ring_;
  ConnectionId server_;
  uint64_t acknowledged_ = 0;
  uint64_t number_ = 0;
  uint64_t answer_ = 0;
};

// How many numbers were acknowledged that are not there after the power was lost. Adds to
// `acknowledged` how many there were.
uint64_t Lost(uint64_t seed, bool syncs_first, uint64_t* acknowledged) {
  SimulatedWorld world(seed, {.faults = {.delay_max_ns = 500'000,
                                         .short_transfer = 200'000,
                                         .split = 200'000,
                                         .disk_delay_min_ns = 100'000,
                                         .disk_delay_max_ns = 2'000'000}});
  const sim::HostId host = world.AddHost("store", {*Endpoint::Parse("10.0.0.1:0")});
  const sim::HostId other = world.AddHost("client", {*Endpoint::Parse("10.0.0.2:0")});
  std::unique_ptr<Ring> store_ring = *world.CreateRing(host, RingOptions{});
  const std::unique_ptr<Ring> client_ring = *world.CreateRing(other, RingOptions{});
  Store store(*store_ring, syncs_first);
  Client client(*client_ring);
  world.SetProgram(*store_ring, [&](Ring& ring) {
    for (const Completion& completion : ring.Completions()) store.Handle(completion);
  });
  world.SetProgram(*client_ring, [&](Ring& ring) {
    for (const Completion& completion : ring.Completions()) client.Handle(completion);
  });
  // Also before there is any number.
  world.RunFor(microseconds{sim::Random(seed).Between(0, 50'000)});
  world.StopHost(host);
  world.LosePower(host);
  store_ring.reset();
  world.SetProgram(*client_ring, nullptr);
  EXPECT_TRUE(
      Drain(*client_ring, std::chrono::steady_clock::now() + std::chrono::seconds{20}).ok());

  *acknowledged += client.acknowledged();
  const std::string bytes = world.disk(host).Contents("/numbers").value_or("");
  uint64_t lost = 0;
  for (uint64_t number = 0; number < client.acknowledged(); ++number) {
    uint64_t stored = ~uint64_t{0};
    if (8 * number + 8 <= bytes.size()) std::memcpy(&stored, bytes.data() + 8 * number, 8);
    if (stored != number) ++lost;
  }
  return lost;
}

TEST(Acknowledge, WhatWasSyncedFirstIsNeverLost) {
  uint64_t acknowledged = 0;
  for (uint64_t seed = 1; seed <= 10 * kSeeds; ++seed) {
    EXPECT_EQ(Lost(seed, /*syncs_first=*/true, &acknowledged), 0u) << "seed " << seed;
  }
  EXPECT_GT(acknowledged, 5 * 10 * kSeeds) << "too little for a test";
}

TEST(Acknowledge, TheDefectIsFound) {
  uint64_t seed = 1;
  uint64_t acknowledged = 0;
  while (seed <= kSeeds && Lost(seed, /*syncs_first=*/false, &acknowledged) == 0) ++seed;
  EXPECT_LE(seed, kSeeds);
}

}  // namespace
}  // namespace ioring
