// The echo server, as it is, in a simulated world: clients on several hosts, faults of all kinds, a
// stop at any time. What must hold:
//  - Each byte comes back once, in order, to whoever sent it; all of them, where no fault breaks
//    connections.
//  - A client that shuts down sending gets all that is still to come, and then the end.
//  - When the server has stopped, nothing is in flight, all buffers are back, and no host has a
//    socket left.
// A seed that fails is shrunk, and told with the commands that run it again.
// Environment:
//   IORING_ECHO_WORLD_SEED   the first seed (1)
//   IORING_ECHO_WORLD_SEEDS  how many (1000)
//   IORING_ECHO_WORLD_TRIAL  of the first seed, this smaller world alone, as a failure tells it
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "echo/server/server.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"
#include "ring/fuzzing/at_death.h"
#include "ring_sim/options.h"
#include "ring_sim/random.h"
#include "ring_sim/shrink.h"
#include "ring_sim/simulated_world.h"
#include "ring_sim/testing/echo_client.h"
#include "ring_sim/testing/parse_trial.h"
#include "ring_sim/testing/simulated_native.h"

namespace ioring::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;

const Endpoint kServer = Endpoint::Ipv4({10, 0, 0, 1}, 7);
constexpr std::chrono::nanoseconds kDrainDeadline = seconds{60};
constexpr uint32_t kClientsMax = 3;
constexpr uint32_t kConnectionsMax = 3 * kClientsMax;
constexpr uint32_t kMessagesMax = 20;  // of a connection

// ---- What a seed makes.

uint32_t Half(Random& random, uint32_t chance) { return random.Below(2) == 0 ? 0 : chance; }

// These lose nothing.
Faults Harmless(Random& random) {
  Faults faults;
  faults.delay_max_ns = random.Below(2) == 0 ? 0 : random.Between(0, 5'000'000);
  faults.bytes_per_second = Half(random, 1'000'000);
  faults.short_transfer = Half(random, 200'000);
  faults.split = Half(random, 200'000);
  faults.coalesce = Half(random, 100'000);
  faults.full_backlog = Half(random, 200'000);
  faults.partition = Half(random, 2'000);
  faults.partition_one_way = Half(random, 2'000);
  faults.pause = Half(random, 10'000);
  faults.wake_delay_max_ns = Half(random, 1'000'000);
  faults.late_cancel = Half(random, 300'000);
  faults.reorder = Half(random, 300'000);
  return faults;
}

// These break connections.
void AddHarm(Random& random, Faults& faults) {
  faults.reset = Half(random, 10'000);
  faults.refuse_connect = Half(random, 100'000);
  faults.lose_connect = Half(random, 50'000);
  faults.no_descriptor = Half(random, 50'000);
  faults.no_memory = Half(random, 50'000);
  faults.clock_jump = Half(random, 5'000);
  if (random.Below(2) == 0) faults.partition_max_ns = 200'000'000'000;
}

ServerOptions DrawServer(Random& random, bool is_harmless) {
  ServerOptions options;
  options.listen = kServer;
  options.submission_entries = 8 << random.Below(4);
  options.engine = random.Below(2) == 0 ? EchoEngine::kMirror : EchoEngine::kManaged;
  options.buffer_bytes = 128 << random.Below(6);
  options.max_connections =
      is_harmless ? kConnectionsMax : static_cast<uint32_t>(1 + random.Below(kConnectionsMax));
  options.buffers_per_slab = static_cast<uint32_t>(1 + random.Below(4));
  options.group_buffers_initial = static_cast<uint32_t>(1 + random.Below(4));
  options.group_buffers_max = options.group_buffers_initial;
  options.batch_delay = std::chrono::microseconds(random.Below(2) * 100);
  options.drain_deadline = kDrainDeadline;
  options.now = &NativeHost::Now;
  return options;
}

EchoScript DrawScript(Random& random, uint32_t number) {
  return {.number = number,
          .messages = 1 + random.Below(kMessagesMax),
          .shape = {.message_bytes = static_cast<uint32_t>(1 + random.Below(1'500)),
                    .depth = static_cast<uint32_t>(1 + random.Below(4))},
          .end = static_cast<EchoEnd>(random.Below(3)),
          .read_delay = milliseconds(random.Below(4) == 0 ? random.Below(20) : 0)};
}

// What a seed says of a run.
struct EchoPlan {
  bool is_harmless = false;
  bool stops_early = false;
  // Its length is the most messages of all connections together.
  Trial trial;
};

EchoPlan DrawPlan(uint64_t seed) {
  Random dice(~seed);
  EchoPlan plan;
  plan.is_harmless = dice.Below(2) == 0;
  plan.stops_early = dice.Below(3) == 0;
  plan.trial = {.seed = seed, .length = uint64_t{kConnectionsMax} * kMessagesMax};
  WorldOptions& options = plan.trial.options;
  options.faults = Harmless(dice);
  if (!plan.is_harmless) AddHarm(dice, options.faults);
  if (dice.Below(2) == 0) options.recv_buffer_bytes = options.send_buffer_bytes = 2'048;
  return plan;
}

// ---- A run.

struct EchoRun {
  std::string problem;  // empty: none
  std::string log;
  uint64_t digest = 0;
  uint64_t bytes = 0;
};

class EchoWorld {
 public:
  // `trial` is the plan's, or a smaller one.
  EchoWorld(const EchoPlan& plan, const Trial& trial)
      : dice_(trial.seed),
        may_be_silent_(trial.options.faults.partition_max_ns >= kPatience.count() / 2 ||
                       trial.options.faults.clock_jump != 0 || MayLoseResets(plan, trial)),
        is_harmless_(plan.is_harmless),
        stops_early_(plan.stops_early),
        messages_left_(trial.length),
        world_(trial.seed, trial.options),
        server_host_(world_.AddHost("server", {kServer})),
        native_(world_, server_host_) {}

  EchoRun Run() {
    // The server has what it needs to listen.
    const Faults faults = std::exchange(world_.faults(), {});
    absl::StatusOr<std::unique_ptr<EchoServer>> server =
        EchoServer::Create(DrawServer(dice_, is_harmless_));
    if (!server.ok()) return {.problem = server.status().ToString()};
    world_.faults() = faults;
    AddClients();
    StopInTime(**server);
    Check((*server)->Run());
    // What lasts for seconds are partitions alone.
    const auto stop_took = world_.Now() - stopped_at_;
    Check(!is_harmless_ || stop_took < kDrainDeadline, "the stop had to use force");
    CheckServer((*server)->GetStatistics());
    server->reset();
    world_.faults() = {};
    const bool ended = world_.RunUntil([this] { return AllDone(); }, hours{1});
    world_.RunFor(seconds{1});  // delays of reads
    Check(ended, "a client's connections do not end");
    if (ended) {
      CheckClients();
    } else {
      for (const HostId host : hosts_) world_.StopHost(host);  // their rings are not at rest
    }
    return {.problem = problem_,
            .log = problem_.empty() ? "" : world_.LogText(),
            .digest = world_.digest(),
            .bytes = bytes_};
  }

 private:
  // A partition takes the reset of whoever gives a connection up, and then nobody tells its peer.
  static bool MayLoseResets(const EchoPlan& plan, const Trial& trial) {
    const Faults& faults = trial.options.faults;
    return !plan.is_harmless && (faults.partition != 0 || faults.partition_one_way != 0);
  }
  void Check(bool is_right, std::string what) {
    if (!is_right && problem_.empty()) problem_ = std::move(what);
  }
  void Check(const absl::Status& status) { Check(status.ok(), status.ToString()); }

  void AddClients() {
    const uint64_t clients = 1 + dice_.Below(kClientsMax);
    uint32_t number = 0;
    for (uint64_t i = 0; i < clients; ++i) {
      const Endpoint address = Endpoint::Ipv4({10, 0, 0, static_cast<uint8_t>(2 + i)}, 0);
      hosts_.push_back(world_.AddHost(absl::StrCat("client ", i), {address}));
      std::vector<EchoScript> scripts(1 + dice_.Below(kConnectionsMax / kClientsMax));
      for (EchoScript& script : scripts) script = DrawScript(dice_, number++);
      Shorten(scripts);
      if (scripts.empty()) continue;
      clients_.push_back(std::make_unique<EchoClient>(world_, hosts_.back(), kServer, scripts));
    }
  }

  // Takes from the messages that are left.
  void Shorten(std::vector<EchoScript>& scripts) {
    for (EchoScript& script : scripts) {
      script.messages = std::min(script.messages, messages_left_);
      messages_left_ -= script.messages;
    }
    const auto is_empty = [](const EchoScript& script) { return script.messages == 0; };
    scripts.erase(std::remove_if(scripts.begin(), scripts.end(), is_empty), scripts.end());
  }

  bool AllDone() const {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->IsDone(); });
  }

  // When all clients are done, or early.
  void StopInTime(EchoServer& server) {
    if (stops_early_) {
      return world_.After(std::chrono::microseconds(dice_.Below(100'000)),
                          [this, &server] { Stop(server); });
    }
    world_.After(milliseconds{100}, [this, &server] {
      if (AllDone() || world_.Now() > give_up_at_) return Stop(server);
      StopInTime(server);
    });
  }

  void Stop(EchoServer& server) {
    stopped_at_ = world_.Now();
    server.Stop();
  }

  void CheckServer(const ServerStatistics& statistics) {
    Check(statistics.connections_open == 0, "connections are open after the stop");
    Check(statistics.buffers_in_use == 0, "buffers are in use after the stop");
    server_ = statistics;
    // What comes after the end that a stop sends is dropped.
    if (is_harmless_ && !stops_early_) {
      Check(statistics.bytes_received == statistics.bytes_sent, "bytes were not sent back");
    }
  }

  void CheckClients() {
    for (const std::unique_ptr<EchoClient>& client : clients_) {
      Check(client->problem().empty(), client->problem());
      Check(client->InFlight() == 0, "a client has operations in flight");
      for (const EchoOutcome& outcome : client->Outcomes()) CheckOutcome(outcome);
    }
    Check(bytes_ <= server_.bytes_sent, "more came back than was sent");
    if (is_harmless_) Check(bytes_ == server_.bytes_sent, "what was sent back did not arrive");
    if (!problem_.empty()) return;
    clients_.clear();
    world_.RunUntilIdle();
    Check(world_.CountSockets(server_host_) == 0, "the server's host has a socket left");
    for (const HostId host : hosts_) {
      Check(world_.CountSockets(host) == 0, "a client's host has a socket left");
    }
  }

  void CheckOutcome(const EchoOutcome& outcome) {
    bytes_ += outcome.received;
    Check(outcome.closed || !outcome.connected, "a connection was not closed");
    Check(!outcome.gave_up || may_be_silent_, "a connection was left without a word");
    if (is_harmless_ && !stops_early_) {
      Check(!outcome.failed, "a connection failed, but nothing broke it");
      Check(outcome.complete, "not all came back");
    }
  }

  Random dice_;               // of the test; the world has its own
  const bool may_be_silent_;  // for longer than clients wait
  const bool is_harmless_;
  const bool stops_early_;
  uint64_t messages_left_;
  World world_;
  const HostId server_host_;
  const NativeHost native_;
  const std::chrono::steady_clock::time_point give_up_at_ = world_.Now() + hours{1};
  std::vector<HostId> hosts_;
  std::vector<std::unique_ptr<EchoClient>> clients_;
  std::chrono::steady_clock::time_point stopped_at_;
  ServerStatistics server_;
  uint64_t bytes_ = 0;
  std::string problem_;
};

// What runs, for a run that ends the process.
const EchoPlan* running_plan = nullptr;
const Trial* running_trial = nullptr;

EchoRun RunTrial(const EchoPlan& plan, const Trial& trial) {
  running_plan = &plan;
  running_trial = &trial;
  EchoRun run = EchoWorld(plan, trial).Run();
  running_plan = nullptr;
  return run;
}

EchoRun RunSeed(uint64_t seed) {
  const EchoPlan plan = DrawPlan(seed);
  return RunTrial(plan, plan.trial);
}

// ---- A run that fails.

// The command that runs it again; `trial` is empty where it is the seed's own.
std::string ReplayCommand(uint64_t seed, std::string_view trial) {
  std::string command = absl::StrCat(
      "  ./bazelw test //ring_sim/testing:echo_world_test --test_output=all "
      "--test_filter=EchoWorld.EveryByteComesBackOnce --test_env=IORING_ECHO_WORLD_SEED=",
      seed);
  if (trial.empty()) return absl::StrCat(command, " --test_env=IORING_ECHO_WORLD_SEEDS=1");
  return absl::StrCat(command, " \"--test_env=IORING_ECHO_WORLD_TRIAL=", trial, "\"");
}

std::string Explain(const EchoPlan& plan, const EchoRun& run) {
  const Shrunk shrunk = Shrink(
      plan.trial, [&plan](const Trial& trial) { return RunTrial(plan, trial).problem.empty(); });
  const std::string smaller = Describe(shrunk.trial);
  const EchoRun rest = RunTrial(plan, shrunk.trial);
  const uint64_t seed = plan.trial.seed;
  return absl::StrCat(run.problem, "\n", Describe(plan.trial), plan.is_harmless ? ", harmless" : "",
                      plan.stops_early ? ", stopped early" : "", "\n", ReplayCommand(seed, ""),
                      "\nand, after ", shrunk.runs, " runs, shrunk: ", rest.problem, "\n", smaller,
                      "\n", ReplayCommand(seed, smaller), "\n", rest.log);
}

void Tell() {
  if (running_plan == nullptr) return;
  const bool is_whole = running_trial == &running_plan->trial;
  const std::string command =
      ReplayCommand(running_plan->trial.seed, is_whole ? "" : Describe(*running_trial));
  std::fprintf(stderr, "The world that ended the process:\n%s\n", command.c_str());
  std::fflush(stderr);
}

// ---- Tests.

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return otherwise;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

TEST(EchoWorld, EveryByteComesBackOnce) {
  const uint64_t first = FromEnvironment("IORING_ECHO_WORLD_SEED", 1);
  const uint64_t seeds = FromEnvironment("IORING_ECHO_WORLD_SEEDS", 1'000);
  TellAtDeath(&Tell);
  if (const char* const text = std::getenv("IORING_ECHO_WORLD_TRIAL"); text != nullptr) {
    const EchoPlan plan = DrawPlan(first);
    const absl::StatusOr<Trial> trial = ParseTrial(text);
    ASSERT_TRUE(trial.ok()) << trial.status();
    const EchoRun run = RunTrial(plan, *trial);
    ASSERT_EQ(run.problem, "") << run.log;
    return;
  }
  uint64_t bytes = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const EchoPlan plan = DrawPlan(seed);
    const EchoRun run = RunTrial(plan, plan.trial);
    bytes += run.bytes;
    ASSERT_TRUE(run.problem.empty())
        << "after " << seed - first << " seeds: " << Explain(plan, run);
  }
  std::printf("%llu seeds of the echo world ran, from %llu on; %llu bytes came back\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(first),
              static_cast<unsigned long long>(bytes));
  // One seed may say little.
  if (seeds >= 100) {
    EXPECT_GT(bytes, 1'000 * seeds) << "too little for a test";
  }
}

TEST(EchoWorld, EveryPlanCanBeReadBack) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    const std::string text = Describe(DrawPlan(seed).trial);
    const absl::StatusOr<Trial> trial = ParseTrial(text);
    ASSERT_TRUE(trial.ok()) << text << "\n" << trial.status();
    EXPECT_EQ(Describe(*trial), text);
  }
  const std::string all =
      "seed 3, length 2, faults_max 9, late_ns 4, clock 1, call_ns 2, recv_buffer_bytes 3, "
      "send_buffer_bytes 4, segment_bytes 5, connect_timeout_ns 6, stream_timeout_ns 7, "
      "retry_ns 8, max_sockets 9, disk_bytes 10, unnamed_files 0";
  EXPECT_EQ(Describe(ParseTrial(all).value_or(Trial())), all);
}

// The defect is the plan's: it says that nothing breaks connections, but something does.
TEST(EchoWorld, AFailureIsShrunkAndCanBeHadAgain) {
  EchoPlan plan;
  EchoRun run;
  for (uint64_t seed = 1; seed < 100 && run.problem.empty(); ++seed) {
    plan = DrawPlan(seed);
    if (!plan.is_harmless || plan.stops_early) continue;
    plan.trial.options.faults.reset = 10'000;
    run = RunTrial(plan, plan.trial);
  }
  ASSERT_FALSE(run.problem.empty());
  const std::string text = Explain(plan, run);
  EXPECT_THAT(text, HasSubstr(ReplayCommand(plan.trial.seed, "")));
  const size_t begin = text.find("_TRIAL=");
  ASSERT_NE(begin, std::string::npos) << text;
  const size_t end = text.find('"', begin);
  const std::string smaller = text.substr(begin + 7, end - begin - 7);
  const absl::StatusOr<Trial> trial = ParseTrial(smaller);
  ASSERT_TRUE(trial.ok()) << trial.status();
  EXPECT_EQ(Describe(*trial), smaller);
  EXPECT_THAT(smaller, HasSubstr(", faults_max 1, reset 10000"));
  EXPECT_LT(trial->length, 10u);
  const EchoRun rest = RunTrial(plan, *trial);
  EXPECT_FALSE(rest.problem.empty());
  EXPECT_THAT(text, EndsWith(rest.log));
  for (const char* const wrong :
       {"", "seed", "seed x", "length 0", "resets 1", "reset 5000000000"}) {
    EXPECT_FALSE(ParseTrial(wrong).ok()) << wrong;
  }
}

// All share a few buffers, of which the one that does not read would keep all.
TEST(EchoWorld, APeerThatDoesNotReadStarvesNobody) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    World world(seed, {.recv_buffer_bytes = 2'048, .send_buffer_bytes = 2'048});
    const HostId host = world.AddHost("server", {kServer});
    const NativeHost native(world, host);
    Random dice(seed);
    ServerOptions options = DrawServer(dice, /*is_harmless=*/true);
    options.engine = EchoEngine::kManaged;
    const absl::StatusOr<std::unique_ptr<EchoServer>> server = EchoServer::Create(options);
    ASSERT_TRUE(server.ok()) << server.status();
    const HostId other = world.AddHost("client", {Endpoint::Ipv4({10, 0, 0, 2}, 0)});
    EchoClient deaf(world, other, kServer,
                    {{.number = 0,
                      .messages = 20,
                      .shape = {.message_bytes = 1'500, .depth = 20},
                      .read_delay = hours{1}}});
    EchoClient quick(world, other, kServer,
                     {{.number = 1, .messages = 20, .shape = {.message_bytes = 100}}});
    bool is_done = false;
    world.After(seconds{1}, [&] {
      is_done = quick.IsDone();
      (*server)->Stop();
    });
    EXPECT_TRUE((*server)->Run().ok());
    EXPECT_TRUE(is_done) << "seed " << seed << "\n" << world.LogText();
    EXPECT_TRUE(quick.Outcomes()[0].complete);
    world.RunFor(hours{10});
    EXPECT_TRUE(deaf.IsDone() && quick.IsDone());
  }
}

// Descriptors are short for a moment. Whoever waits for one gets in although the server is busy all
// the time, and nobody leaves.
TEST(EchoWorld, AShortageEndsInTimeForAServerThatIsBusy) {
  uint64_t failures = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    World world(seed);
    const HostId host = world.AddHost("server", {kServer});
    const NativeHost native(world, host);
    const absl::StatusOr<std::unique_ptr<EchoServer>> server =
        EchoServer::Create({.listen = kServer,
                            .engine = seed % 2 == 0 ? EchoEngine::kMirror : EchoEngine::kManaged,
                            .max_connections = 16,
                            .idle_timeout = seconds{0},
                            .now = &NativeHost::Now});
    ASSERT_TRUE(server.ok()) << server.status();
    const HostId other = world.AddHost("client", {Endpoint::Ipv4({10, 0, 0, 2}, 0)});
    EchoClient busy(world, other, kServer,
                    {{.number = 0, .messages = 1'000, .read_delay = milliseconds{10}}});
    std::unique_ptr<EchoClient> late;
    world.After(seconds{1}, [&] {
      world.faults().no_descriptor = 500'000;
      std::vector<EchoScript> scripts(8, {.messages = 1, .end = EchoEnd::kWait});
      for (uint32_t i = 0; i < scripts.size(); ++i) scripts[i].number = 1 + i;
      late = std::make_unique<EchoClient>(world, other, kServer, scripts);
    });
    world.After(milliseconds{1'010}, [&] { world.faults() = {}; });
    world.After(seconds{2}, [&] {
      EXPECT_FALSE(busy.Outcomes()[0].complete) << "too little for a test";
      for (const EchoOutcome& outcome : late->Outcomes()) {
        EXPECT_TRUE(outcome.complete || outcome.failed) << "seed " << seed;
      }
      (*server)->Stop();
    });
    EXPECT_TRUE((*server)->Run().ok());
    failures += (*server)->GetStatistics().accept_failures;
    world.RunFor(seconds{30});
    EXPECT_TRUE(busy.IsDone() && late->IsDone());
  }
  EXPECT_GT(failures, 20u) << "too little for a test";
}

TEST(EchoWorld, TheSameSeedGivesTheSameRun) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(RunSeed(seed).digest, RunSeed(seed).digest) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ioring::sim
