#include "server.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <string>

#include "gtest/gtest.h"
#include "ring/drain.h"
#include "ring/ring.h"
#include "ring_sim/shrink.h"
#include "ring_sim/simulated_world.h"

namespace ioring {
namespace {

const Endpoint kServer = *Endpoint::Parse("10.0.0.1:7");

void Check(Prepared prepared) { ASSERT_EQ(prepared, Prepared::kAccepted); }
void BringToRest(Ring& ring) {
  EXPECT_TRUE(Drain(ring, std::chrono::steady_clock::now() + std::chrono::seconds{10}).ok());
}

// Lets all others run until the ring has a completion; one without a token after an hour.
Completion Next(Ring& ring) {
  if (ring.CompletionQueueCount() == 0) ring.SubmitAndWait({.timeout = std::chrono::hours{1}});
  if (ring.CompletionQueueCount() == 0) return {};
  const Completion completion = ring.PeekCompletions()[0];
  ring.AdvanceCompletionQueue(1);
  return completion;
}

// Sends a text, shuts sending down, and returns what comes back up to the end.
std::string Ask(Ring& ring, std::string text) {
  constexpr Token kConnect{1}, kRecv{2}, kSend{3}, kShutdown{4}, kClose{5};
  std::string answer(text.size() + 1, '\0');
  Check(ring.PrepareConnect(kServer, kConnect));
  const ConnectionId id = Next(ring).connection();
  Check(
      ring.PrepareRecv(id, std::as_writable_bytes(std::span(answer)), kRecv, TransferFlags::kAll));
  Check(ring.PrepareSend(id, std::as_bytes(std::span(text)), kSend, TransferFlags::kAll));
  Completion last = Next(ring);
  while (last.token != Token{} && last.token != kRecv) {
    if (last.token == kSend) Check(ring.PrepareShutdown(id, Direction::kSend, kShutdown));
    last = Next(ring);
  }
  answer.resize(static_cast<size_t>(std::max(last.result, 0)));
  Check(ring.PrepareClose(id, CloseMode::kGraceful, kClose));
  BringToRest(ring);  // until then the texts are the ring's
  return answer;
}

bool Passes(const sim::Trial& trial, std::string* log = nullptr) {
  SCOPED_TRACE(sim::Describe(trial));
  SimulatedWorld world(trial.seed, trial.options);
  const sim::HostId host = world.AddHost("server", {*Endpoint::Parse("10.0.0.1:0")});
  const sim::HostId other = world.AddHost("client", {*Endpoint::Parse("10.0.0.2:0")});
  const std::unique_ptr<Ring> ring = *world.CreateRing(host, RingOptions{});
  const std::unique_ptr<Ring> client = *world.CreateRing(other, RingOptions{});
  Server server(*ring, kServer);
  world.SetProgram(*ring, [&](Ring&) { server.Turn(); });
  const std::string text(trial.length, 'a');
  const bool passes = Ask(*client, text) == text;
  world.RunFor(std::chrono::minutes{5});  // what the server does at a connection's end
  world.SetProgram(*ring, nullptr);
  BringToRest(*ring);
  if (log != nullptr) *log = world.LogText();
  return passes;
}

// The engine's numbers are the same everywhere; those of the library's distributions are not.
sim::Trial Draw(uint64_t seed) {
  std::mt19937_64 dice(seed);
  const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(dice() % bound); };
  sim::Trial trial = {.seed = seed, .length = 1 + below(2'000)};
  trial.options.faults.delay_max_ns = below(5'000'000);
  trial.options.faults.short_transfer = below(300'000);
  trial.options.faults.split = below(300'000);
  trial.options.recv_buffer_bytes = 64 << below(12);
  trial.options.send_buffer_bytes = 64 << below(12);
  return trial;
}

TEST(Server, SendsBackWhatItGot) {
  const char* const only = std::getenv("SEED");
  const uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const uint64_t last = only != nullptr ? first : 1'000;
  for (uint64_t seed = first; seed <= last; ++seed) {
    if (Passes(Draw(seed))) continue;
    const auto passes = [](const sim::Trial& trial) { return Passes(trial); };
    const sim::Trial smallest = sim::Shrink(Draw(seed), passes).trial;
    std::string log;
    Passes(smallest, &log);
    FAIL() << "SEED=" << seed << ": " << sim::Describe(Draw(seed))
           << "\nshrunk: " << sim::Describe(smallest) << "\n"
           << log;
  }
}

}  // namespace
}  // namespace ioring
