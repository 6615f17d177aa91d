// An example: a server that answers texts in capitals, and a client that shuts its sending down
// before all answers are there. A server that then forgets what it has not sent yet passes every
// test on a good network; here it is found out within a few seeds.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/strings/ascii.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/shrink.h"
#include "ring_sim/simulated_world.h"

namespace ioring {
namespace {

const Endpoint kServer = Endpoint::Ipv4({10, 0, 0, 1}, 7);

enum class Kind : uint8_t { kAccept, kConnect, kRecv, kSend, kShutdown, kClose };

void Check(Prepared prepared) { EXPECT_EQ(prepared, Prepared::kAccepted); }

std::span<std::byte> BytesOf(std::string& text) {
  return std::as_writable_bytes(std::span<char>(text.data(), text.size()));
}

// ---- The server, in some 40 lines. It knows nothing of a simulation.

class Shouter {
 public:
  Shouter(Ring& ring, bool forgets) : ring_(ring), forgets_(forgets) {
    const ListenerId listener = *ring.CreateListener(kServer, {});
    Check(ring.PrepareAccept(listener, Shots::kOneShot, MakeToken(Kind::kAccept)));
  }
  void Handle(const Completion& completion) {
    const auto bytes = static_cast<size_t>(std::max(completion.result, 0));
    switch (KindOf<Kind>(completion.token)) {
      case Kind::kAccept:
        client_ = completion.connection();
        return Recv();
      case Kind::kRecv:
        queue_ += absl::AsciiStrToUpper(memory_.substr(0, bytes));
        has_ended_ = bytes == 0;
        if (has_ended_ && forgets_) queue_.clear();  // the defect
        if (!has_ended_) Recv();
        return Send();
      case Kind::kSend:
        queue_.erase(0, bytes);
        sent_.clear();
        return Send();
      default:
        return;
    }
  }

 private:
  void Recv() { Check(ring_.PrepareRecv(client_, BytesOf(memory_), MakeToken(Kind::kRecv))); }
  void Send() {
    if (!sent_.empty()) return;
    sent_ = queue_;
    if (!sent_.empty()) {
      Check(ring_.PrepareSend(client_, BytesOf(sent_), MakeToken(Kind::kSend)));
    } else if (has_ended_) {
      Check(ring_.PrepareClose(client_, CloseMode::kGraceful, MakeToken(Kind::kClose)));
    }
  }

  Ring& ring_;
  const bool forgets_;
  ConnectionId client_;
  std::string memory_ = std::string(100, '\0');
  std::string queue_;  // to be sent
  std::string sent_;   // is the ring's while a send is in flight
  bool has_ended_ = false;
};

// ---- Its test, in some 60 lines.

Completion Next(Ring& ring) {
  if (ring.CompletionQueueCount() == 0) ring.SubmitAndWait();
  const Completion completion = ring.PeekCompletions()[0];
  ring.AdvanceCompletionQueue(1);
  return completion;
}

// What comes back for a text, up to the end.
std::string Ask(Ring& ring, std::string text) {
  Check(ring.PrepareConnect(kServer, MakeToken(Kind::kConnect)));
  const ConnectionId id = Next(ring).connection();
  std::string answer(2 * text.size(), '\0');
  Check(ring.PrepareSend(id, BytesOf(text), MakeToken(Kind::kSend), TransferFlags::kAll));
  EXPECT_EQ(Next(ring).result, static_cast<int32_t>(text.size()));
  Check(ring.PrepareShutdown(id, Direction::kSend, MakeToken(Kind::kShutdown)));
  EXPECT_EQ(Next(ring).result, 0);
  Check(ring.PrepareRecv(id, BytesOf(answer), MakeToken(Kind::kRecv), TransferFlags::kAll));
  answer.resize(static_cast<size_t>(std::max(Next(ring).result, 0)));
  Check(ring.PrepareClose(id, CloseMode::kGraceful, MakeToken(Kind::kClose)));
  Next(ring);
  return answer;
}

bool Passes(const sim::Trial& trial, bool forgets) {
  SimulatedWorld world(trial.seed, trial.options);
  const sim::HostId host = world.AddHost("server", {*Endpoint::Parse("10.0.0.1:0")});
  const sim::HostId other = world.AddHost("client", {*Endpoint::Parse("10.0.0.2:0")});
  const std::unique_ptr<Ring> ring = *world.CreateRing(host, RingOptions{});
  const std::unique_ptr<Ring> client = *world.CreateRing(other, RingOptions{});
  Shouter server(*ring, forgets);
  world.SetProgram(*ring, [&](Ring& its_ring) {
    for (const Completion& completion : its_ring.Completions()) server.Handle(completion);
  });
  const std::string text(trial.length, 'a');
  const bool passes = Ask(*client, text) == std::string(trial.length, 'A');
  world.RunFor(std::chrono::seconds{10});  // the server's close
  return passes;
}

sim::Trial TrialOf(uint64_t seed) {
  return {.seed = seed,
          .options = {.faults = {.delay_max_ns = 5'000'000,
                                 .short_transfer = 300'000,
                                 .split = 300'000,
                                 .coalesce = 100'000,
                                 .partition = 1'000,
                                 .pause = 10'000}},
          .length = 1'000};
}

TEST(HalfClose, EveryAnswerComes) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EXPECT_TRUE(Passes(TrialOf(seed), /*forgets=*/false)) << "seed " << seed;
  }
}

TEST(HalfClose, TheDefectIsFound) {
  const auto passes = [](const sim::Trial& trial) { return Passes(trial, /*forgets=*/true); };
  EXPECT_TRUE(passes({.length = 1'000})) << "on a good network it does not show";
  uint64_t seed = 1;
  while (seed <= 20 && passes(TrialOf(seed))) ++seed;
  ASSERT_EQ(seed, 3u);
  // It takes two bytes and one short transfer.
  const sim::Shrunk shrunk = sim::Shrink(TrialOf(seed), passes);
  EXPECT_EQ(sim::Describe(shrunk.trial), "seed 32, length 2, faults_max 1, short_transfer 300000");
}

}  // namespace
}  // namespace ioring
