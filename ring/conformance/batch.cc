// What is begun and ended in one batch: no cancel, close or deadline comes too early for what was
// prepared before it.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

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

using std::chrono::hours;
using std::chrono::nanoseconds;

constexpr size_t kMoreThanSocketsHoldBytes = 32 << 20;

// What operations are about; made anew for each.
struct Scene {
  TestRing& ring;
  Pair pair;
  ConnectionId datagram;
  ListenerId listener;
  BufferGroupId group;
  TestBuffer buffer;
};

// An operation that waits, if nobody ends it.
struct Beginning {
  std::string_view what;
  std::function<Token(Scene&)> start;
  // Of which connection; null: of none.
  std::function<ConnectionId(const Scene&)> of;
};

ConnectionId Server(const Scene& scene) { return scene.pair.server; }
ConnectionId Client(const Scene& scene) { return scene.pair.client; }
ConnectionId Datagram(const Scene& scene) { return scene.datagram; }

Token StartPoll(Scene& scene, PollEvents events, Shots shots) {
  return scene.ring.Start([&](Token token) {
    return scene.ring.PreparePollAdd(scene.pair.server, events, shots, token);
  });
}

std::vector<Beginning> Receives() {
  constexpr TransferFlags kAll = TransferFlags::kAll;
  return {
      {"receive", [](Scene& s) { return s.ring.StartRecv(s.pair.server, s.ring.Memory(8)); },
       Server},
      {"receive all",
       [](Scene& s) { return s.ring.StartRecv(s.pair.client, s.ring.Memory(8), kAll); }, Client},
      {"receive into a registered buffer",
       [](Scene& s) {
         return s.ring.Start([&](Token token) {
           return s.ring.PrepareRecvBuffer(s.pair.server, s.buffer.Slice(0, 64), token);
         });
       },
       Server},
      {"managed receive",
       [](Scene& s) { return s.ring.StartManaged(s.pair.server, s.group, Shots::kOneShot); },
       Server},
      {"multishot managed receive",
       [](Scene& s) { return s.ring.StartManaged(s.pair.client, s.group, Shots::kMultishot); },
       Client},
      {"receive of a datagram",
       [](Scene& s) { return s.ring.StartRecv(s.datagram, s.ring.Memory(8)); }, Datagram},
      {"receive of a datagram and its sender",
       [](Scene& s) {
         return s.ring.Start([&](Token token) {
           return s.ring.PrepareRecvFrom(s.datagram, s.ring.Memory(8), s.ring.NewEndpoint(), token);
         });
       },
       Datagram},
  };
}

std::vector<Beginning> Others() {
  return {
      {"send all",
       [](Scene& s) {
         return s.ring.StartSend(s.pair.client, s.ring.Memory(kMoreThanSocketsHoldBytes),
                                 TransferFlags::kAll);
       },
       Client},
      {"accept",
       [](Scene& s) {
         return s.ring.Start(
             [&](Token token) { return s.ring.PrepareAccept(s.listener, Shots::kOneShot, token); });
       },
       nullptr},
      {"multishot accept",
       [](Scene& s) {
         return s.ring.Start([&](Token token) {
           return s.ring.PrepareAccept(s.listener, Shots::kMultishot, token);
         });
       },
       nullptr},
      {"poll", [](Scene& s) { return StartPoll(s, kPollReadable, Shots::kOneShot); }, Server},
      {"multishot poll", [](Scene& s) { return StartPoll(s, kPollReadable, Shots::kMultishot); },
       Server},
      {"poll of what holds already",
       [](Scene& s) { return StartPoll(s, kPollWritable, Shots::kMultishot); }, Server},
      {"timeout", [](Scene& s) { return s.ring.StartTimeout(hours{1}); }, nullptr},
      {"multishot timeout",
       [](Scene& s) { return s.ring.StartTimeout(hours{1}, Shots::kMultishot); }, nullptr},
      {"timeout at a time",
       [](Scene& s) {
         return s.ring.Start([&](Token token) {
           return s.ring.PrepareTimeoutAt(std::chrono::steady_clock::now() + hours{1}, token);
         });
       },
       nullptr},
  };
}

// How it is ended, in the same batch. Gives kNoToken where that does not go together.
constexpr Token kNoToken{0};
struct Ending {
  std::string_view what;
  std::function<Token(Scene&, const Beginning&, Token)> start;
};

Token CancelConnection(Scene& s, const Beginning& b, Direction direction) {
  if (b.of == nullptr) return kNoToken;
  return s.ring.Start(
      [&](Token token) { return s.ring.PrepareCancelConnection(b.of(s), direction, token); });
}

Token Close(Scene& s, const Beginning& b, CloseMode mode) {
  return b.of == nullptr ? kNoToken : s.ring.StartClose(b.of(s), mode);
}

Token Deadline(Scene& s, Token target, nanoseconds delay) {
  return s.ring.Start([&](Token token) { return s.ring.PrepareDeadline(target, delay, token); });
}

std::vector<Ending> Endings() {
  using B = const Beginning&;
  return {
      {"cancel", [](Scene& s, B, Token target) { return s.ring.StartCancel(target); }},
      {"cancel of both directions",
       [](Scene& s, B b, Token) { return CancelConnection(s, b, Direction::kBoth); }},
      {"cancel of all",
       [](Scene& s, B, Token) {
         return s.ring.Start([&](Token token) { return s.ring.PrepareCancelAll(token); });
       }},
      {"graceful close", [](Scene& s, B b, Token) { return Close(s, b, CloseMode::kGraceful); }},
      {"reset", [](Scene& s, B b, Token) { return Close(s, b, CloseMode::kReset); }},
      {"deadline that is over",
       [](Scene& s, B, Token target) { return Deadline(s, target, nanoseconds{0}); }},
      {"deadline",
       [](Scene& s, B, Token target) { return Deadline(s, target, nanoseconds{1'000'000}); }},
  };
}

void ExpectEnds(Scene& scene, const Beginning& beginning, const Ending& ending) {
  SCOPED_TRACE(testing::Message() << beginning.what << ", ended by: " << ending.what);
  const Token target = beginning.start(scene);
  const Token end = ending.start(scene, beginning, target);
  if (end == kNoToken) {
    scene.ring.Await(scene.ring.StartCancel(target));
    scene.ring.AwaitAll(target);
    return;
  }
  scene.ring.Submit();
  scene.ring.AwaitAll(target);
  scene.ring.Await(end);
}

TEST_P(RingConformance, WhatIsEndedInItsOwnBatchEnds) {
  RingOptions options = Options();
  options.linger_time = std::chrono::milliseconds{1};  // nobody reads
  TestRing& ring = MakeRing(options);
  const TestGroup group = ring.MakeGroup(2, 64);
  const TestBuffer buffer = ring.MakeBuffer(4096);
  const ListenerId listener = ring.Listen();
  std::vector<Beginning> beginnings = Receives();
  for (Beginning& other : Others()) beginnings.push_back(std::move(other));
  for (const Beginning& beginning : beginnings) {
    for (const Ending& ending : Endings()) {
      Scene scene{ring, ring.MakePair(), ring.Datagram(), listener, group.id, buffer};
      ExpectEnds(scene, beginning, ending);
      for (const ConnectionId id : {scene.pair.client, scene.pair.server, scene.datagram}) {
        ring.Close(id, CloseMode::kReset);
      }
      if (HasFailure()) return;
    }
  }
}

// The kernel may have a send at any stage when it is to end: how much of it fits decides.
TEST_P(RingConformance, ASendOfAnySizeIsEndedInItsOwnBatch) {
  RingOptions options = Options();
  options.linger_time = std::chrono::milliseconds{1};  // nobody reads
  TestRing& ring = MakeRing(options);
  const ListenerId tcp = ring.Listen();
  const Endpoint path = UnusedPath(ring);
  const absl::StatusOr<ListenerId> unix_domain = ring.CreateListener(path, {});
  EXPECT_TRUE(unix_domain.ok() || SkipsAllowed()) << unix_domain.status();
  for (const ListenerId listener : {tcp, unix_domain.value_or(tcp)}) {
    for (const size_t bytes : {1'000, 60'000, 100'000, 140'000, 150'000, 160'000, 170'000, 180'000,
                               192'471, 200'000, 220'000, 250'000, 300'000, 1'000'000, 5'000'000}) {
      for (const Ending& ending : Endings()) {
        const Beginning send{"send all",
                             [&](Scene& s) {
                               return s.ring.StartSend(s.pair.client, s.ring.Memory(bytes),
                                                       TransferFlags::kAll);
                             },
                             Client};
        SCOPED_TRACE(testing::Message() << bytes << " bytes");
        Scene scene{ring, ring.MakePair(listener), {}, listener, {}, {}};
        ExpectEnds(scene, send, ending);
        ring.Close(scene.pair.client, CloseMode::kReset);
        ring.Close(scene.pair.server, CloseMode::kReset);
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace ioring
