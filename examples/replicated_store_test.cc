// The replicated store in simulated worlds: hosts lose power, connections break, and what was
// acknowledged must be there. And over the system's ring, once.
#include "examples/replicated_store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"
#include "ring_sim/options.h"
#include "ring_sim/shrink.h"
#include "ring_sim/simulated_world.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Seeds within which a test is to find the defect.
constexpr uint64_t kSeedsForTheDefect = 50;
constexpr uint64_t kSeeds = 300;

constexpr size_t kReplicas = 3;  // the first one is the primary
constexpr size_t kClients = 3;
constexpr size_t kPuts = 200;  // of a client: more than it has time for, with faults

RingOptions Small() {
  RingOptions options;
  options.submission_entries = 64;
  options.max_connections = 64;
  options.max_operations = 512;
  return options;
}

void Check(Prepared prepared) { ASSERT_EQ(prepared, Prepared::kAccepted); }

// Asks one thing after another, and each again until there is an answer other than "failed".
class Client {
 public:
  Client(Ring& ring, const Endpoint& server, std::vector<std::string> requests)
      : ring_(ring), server_(server), requests_(std::move(requests)) {
    Connect();
  }

  // To the first requests.
  const std::vector<std::string>& answers() const { return answers_; }
  bool IsDone() const { return answers_.size() == requests_.size(); }

  void TakeCompletions() {
    for (const Completion& done : ring_.Completions()) Handle(done);
  }

 private:
  enum class Kind : uint8_t { kConnect, kSend, kReceive, kDeadline, kClose, kPause };

  static constexpr milliseconds kPatience{200};
  static constexpr milliseconds kPauseTime{5};

  void Handle(const Completion& done) {
    const Kind kind = KindOf<Kind>(done.token);
    if (kind == Kind::kPause) return Connect();
    if (kind == Kind::kDeadline) return;
    if (kind == Kind::kClose || (kind == Kind::kConnect && !done.ok())) return Pause();
    if (kind == Kind::kConnect) {
      id_ = done.connection();
      return Ask();
    }
    --in_flight_;
    if (done.result <= 0) is_broken_ = true;
    if (kind == Kind::kReceive && done.ok()) input_.append(received_.data(), done.result);
    if (in_flight_ == 0) GoOn();
  }

  void GoOn() {
    if (is_broken_) return Check(ring_.PrepareClose(id_, CloseMode::kReset, TokenOf(Kind::kClose)));
    if (input_.empty() || input_.back() != '\n') return Receive();
    input_.pop_back();
    const bool has_failed = input_ == "failed";
    if (!has_failed) answers_.push_back(std::exchange(input_, {}));
    if (IsDone()) return;
    if (!has_failed) return Ask();
    Check(ring_.PrepareClose(id_, CloseMode::kGraceful, TokenOf(Kind::kClose)));
  }

  void Connect() {
    input_.clear();
    is_broken_ = false;
    Check(ring_.PrepareConnect(server_, TokenOf(Kind::kConnect)));
    Check(ring_.PrepareDeadline(TokenOf(Kind::kConnect), kPatience, TokenOf(Kind::kDeadline)));
  }
  void Ask() {
    output_ = absl::StrCat(requests_[answers_.size()], "\n");
    ++in_flight_;
    Check(ring_.PrepareSend(id_, std::as_bytes(std::span(output_)), TokenOf(Kind::kSend),
                            TransferFlags::kAll));
    Receive();
  }
  void Receive() {
    ++in_flight_;
    Check(ring_.PrepareRecv(id_, std::as_writable_bytes(std::span(received_)),
                            TokenOf(Kind::kReceive)));
    Check(ring_.PrepareDeadline(id_, Direction::kRecv, kPatience, TokenOf(Kind::kDeadline)));
  }
  void Pause() { Check(ring_.PrepareTimeout(kPauseTime, Shots::kOneShot, TokenOf(Kind::kPause))); }

  static Token TokenOf(Kind kind) { return MakeToken(kind); }

  Ring& ring_;
  const Endpoint server_;
  const std::vector<std::string> requests_;
  std::vector<std::string> answers_;
  ConnectionId id_;
  std::string output_;
  std::array<char, 256> received_;
  std::string input_;
  int in_flight_ = 0;  // of the connection
  bool is_broken_ = false;
};

// ---- In a world.

// Of each replica, and of those who ask.
Endpoint AddressOf(size_t replica) {
  return Endpoint::Ipv4({10, 0, 0, static_cast<uint8_t>(replica + 1)}, 7);
}

// Three replicas, which start again by themselves.
class Cluster {
 public:
  Cluster(SimulatedWorld& world, bool syncs_first) : world_(world), syncs_first_(syncs_first) {
    for (size_t i = 0; i < kReplicas; ++i) {
      hosts_[i] = world.AddHost(absl::StrCat("replica", i), {AddressOf(i)});
      world.MakeDirectories(hosts_[i], "/store");
      world.SetHostProgram(hosts_[i], [this, i](sim::HostEvent event) {
        if (event == sim::HostEvent::kStarted && rings_[i] != nullptr) return;  // it runs
        rings_[i].reset();
        stores_[i].reset();
        if (event == sim::HostEvent::kStarted) Start(i);
      });
    }
  }
  ~Cluster() {
    for (const sim::HostId host : hosts_) world_.StopHost(host);
  }

  // All of them lose power, and start again; who does not reach the others has what is on its own
  // disk.
  void StartEachAlone() {
    for (const sim::HostId host : hosts_) world_.StopHost(host);
    for (const sim::HostId host : hosts_) world_.LosePower(host);
    ForEachPair([&](sim::HostId a, sim::HostId b) { world_.Partition(a, b); });
    for (const sim::HostId host : hosts_) world_.StartHost(host);
  }
  void Heal() {
    ForEachPair([&](sim::HostId a, sim::HostId b) { world_.Heal(a, b); });
  }
  bool AreSame() const {
    const auto log = world_.disk(hosts_[0]).Contents("/store/log");
    return std::all_of(hosts_.begin(), hosts_.end(), [&](sim::HostId host) {
      return world_.disk(host).Contents("/store/log") == log;
    });
  }

 private:
  void Start(size_t i) {
    ReplicatedStoreOptions options = {.address = AddressOf(i),
                                      .directory = "/store",
                                      .is_backup = i > 0,
                                      .sync_before_acknowledging = syncs_first_};
    for (size_t backup = 1; i == 0 && backup < kReplicas; ++backup) {
      options.backups.push_back(AddressOf(backup));
    }
    rings_[i] = *world_.CreateRing(hosts_[i], Small());
    const sim::Faults faults = std::exchange(world_.faults(), {});  // it can open its log
    stores_[i] = *ReplicatedStore::Open(*rings_[i], options);
    world_.faults() = faults;
    world_.SetProgram(*rings_[i], [this, i](Ring&) {
      stores_[i]->TakeCompletions();
      if (!stores_[i]->status().ok()) world_.After(milliseconds{1}, [this, i] { Restart(i); });
    });
  }

  // After an error of its disk.
  void Restart(size_t i) {
    if (stores_[i] == nullptr || stores_[i]->status().ok()) return;
    world_.StopHost(hosts_[i]);
    world_.StartHost(hosts_[i]);
  }

  template <typename Function>
  void ForEachPair(Function function) {
    for (size_t i = 0; i < kReplicas; ++i) {
      for (size_t j = 0; j < i; ++j) function(hosts_[i], hosts_[j]);
    }
  }

  SimulatedWorld& world_;
  const bool syncs_first_;
  std::array<sim::HostId, kReplicas> hosts_;
  std::array<std::unique_ptr<ReplicatedStore>, kReplicas> stores_;
  std::array<std::unique_ptr<Ring>, kReplicas> rings_;
};

// A client on a host of its own.
class ClientInWorld {
 public:
  // `clients` counts those of the world, of which no two have the same address.
  ClientInWorld(SimulatedWorld& world, uint16_t& clients, const Endpoint& server,
                std::vector<std::string> requests)
      : world_(world),
        host_(world.AddHost("client", {NextAddress(clients)})),
        ring_(*world.CreateRing(host_, Small())),
        client_(*ring_, server, std::move(requests)) {
    world.SetProgram(*ring_, [this](Ring&) { client_.TakeCompletions(); });
  }
  ~ClientInWorld() {
    world_.StopHost(host_);
    ring_.reset();
  }

  const Client& operator*() const { return client_; }
  const Client* operator->() const { return &client_; }

 private:
  static Endpoint NextAddress(uint16_t& clients) {
    ++clients;
    return Endpoint::Ipv4(
        {10, 1, static_cast<uint8_t>(clients >> 8), static_cast<uint8_t>(clients)}, 0);
  }

  SimulatedWorld& world_;
  const sim::HostId host_;
  std::unique_ptr<Ring> ring_;
  Client client_;
};

std::string KeyOf(size_t client, size_t put) { return absl::StrCat("key", client, ".", put); }
// Some take more than a sector of a disk.
std::string ValueOf(size_t client, size_t put) {
  return std::string(1 + (put * 97 + client * 31) % 700, static_cast<char>('a' + put % 26));
}

std::vector<std::string> PutsOf(size_t client, size_t puts) {
  std::vector<std::string> requests;
  for (size_t put = 0; put < puts; ++put) {
    requests.push_back(absl::StrCat("put ", KeyOf(client, put), " ", ValueOf(client, put)));
  }
  return requests;
}

struct Outcome {
  std::vector<std::string> lost;  // keys that were acknowledged, and the replica that has not them
  uint64_t acknowledged = 0;
  bool goes_on = true;    // after each loss of power there was a further acknowledgement
  bool are_same = false;  // all logs at the end
  uint64_t digest = 0;
};

using Clients = std::vector<std::unique_ptr<ClientInWorld>>;

// Asks each replica, which is alone, for what was acknowledged.
void FindLost(SimulatedWorld& world, uint16_t& made, const Clients& clients, Outcome& outcome) {
  std::vector<std::string> gets;
  std::vector<std::string> answers;
  for (size_t client = 0; client < clients.size(); ++client) {
    for (size_t put = 0; put < (*clients[client])->answers().size(); ++put) {
      gets.push_back(absl::StrCat("get ", KeyOf(client, put)));
      answers.push_back(absl::StrCat("value ", ValueOf(client, put)));
    }
  }
  outcome.acknowledged = gets.size();
  for (size_t replica = 0; replica < kReplicas; ++replica) {
    const ClientInWorld reader(world, made, AddressOf(replica), gets);
    EXPECT_TRUE(world.RunUntil([&] { return reader->IsDone(); }, minutes{5}));
    for (size_t i = 0; i < reader->answers().size(); ++i) {
      if (reader->answers()[i] == answers[i]) continue;
      outcome.lost.push_back(absl::StrCat(gets[i], " of replica ", replica));
    }
  }
}

size_t CountAcknowledged(const Clients& clients) {
  size_t count = 0;
  for (const std::unique_ptr<ClientInWorld>& client : clients) {
    count += (*client)->answers().size();
  }
  return count;
}

// In each of `trial.length` rounds clients put for a while, and hosts stop by chance. Then, in most
// rounds, all replicas lose power at once.
Outcome RunTrial(const sim::Trial& trial, bool syncs_first) {
  SimulatedWorld world(trial.seed, trial.options);
  world.faults() = {};
  std::mt19937_64 dice(trial.seed);
  Cluster cluster(world, syncs_first);
  uint16_t made = 0;
  Clients clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<ClientInWorld>(world, made, AddressOf(0), PutsOf(i, kPuts)));
  }
  Outcome outcome;
  for (uint64_t round = 0; round < trial.length && outcome.lost.empty(); ++round) {
    const size_t before = CountAcknowledged(clients);
    outcome.goes_on =
        before == kClients * kPuts ||
        world.RunUntil([&] { return CountAcknowledged(clients) > before; }, seconds{30});
    if (!outcome.goes_on) break;
    world.faults() = trial.options.faults;
    world.RunFor(milliseconds{dice() % 100});
    world.faults() = {};
    if (dice() % 4 == 0) continue;  // it goes on without a start, too
    cluster.StartEachAlone();
    FindLost(world, made, clients, outcome);
    cluster.Heal();
  }
  clients.clear();
  {
    const ClientInWorld last(world, made, AddressOf(0), {"put last one"});
    world.RunFor(seconds{10});  // what a replica lacks it gets
  }
  outcome.are_same = cluster.AreSame();
  outcome.digest = world.digest();
  return outcome;
}

sim::Trial TrialOf(uint64_t seed) {
  return {.seed = seed,
          .options = {.faults = {.delay_max_ns = 300'000,
                                 .short_transfer = 100'000,
                                 .split = 100'000,
                                 .reset = 1'000,
                                 .refuse_connect = 50'000,
                                 .partition = 500,
                                 .partition_max_ns = 100'000'000,
                                 .stop_host = 2'000,
                                 .lose_power = 900'000,
                                 .down_max_ns = 100'000'000,
                                 .short_file_transfer = 100'000,
                                 .disk_error = 2'000,
                                 .disk_delay_min_ns = 100'000,
                                 .disk_delay_max_ns = 5'000'000}},
          .length = 5};
}

TEST(ReplicatedStore, WhatWasAcknowledgedIsOnEachReplica) {
  const auto passes = [](const sim::Trial& trial) {
    const Outcome outcome = RunTrial(trial, /*syncs_first=*/true);
    return outcome.lost.empty() && outcome.goes_on && outcome.are_same;
  };
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const sim::Trial trial = TrialOf(seed);
    if (passes(trial)) continue;
    FAIL() << sim::Describe(trial)
           << "\nshrunk: " << sim::Describe(sim::Shrink(trial, passes).trial);
  }
}

TEST(ReplicatedStore, AnAcknowledgementBeforeTheSyncIsFound) {
  for (uint64_t seed = 1; seed <= kSeedsForTheDefect; ++seed) {
    const Outcome outcome = RunTrial(TrialOf(seed), /*syncs_first=*/false);
    if (outcome.lost.empty()) continue;
    std::cout << "seed " << seed << ": of " << outcome.acknowledged << " acknowledged puts "
              << outcome.lost.size() << " are lost, the first one: " << outcome.lost[0] << "\n";
    const Outcome again = RunTrial(TrialOf(seed), /*syncs_first=*/false);
    EXPECT_EQ(again.digest, outcome.digest);
    EXPECT_EQ(again.lost, outcome.lost);
    return;
  }
  FAIL() << "not found within " << kSeedsForTheDefect << " seeds";
}

// ---- Over the system's ring.

// A replica with a thread of its own, which listens on a free port.
class Replica {
 public:
  explicit Replica(ReplicatedStoreOptions options) {
    options.address = Endpoint::Ipv4Loopback(0);
    std::promise<Endpoint> address;
    std::future<Endpoint> listens = address.get_future();
    absl::StatusOr<CreatedRing> created = CreateRing(Small());
    if (!created.ok()) ADD_FAILURE() << created.status();
    ring_ = std::move(created->ring);
    thread_ = std::thread([this, options, address = std::move(address)]() mutable {
      Run(options, std::move(address));
    });
    address_ = listens.get();
  }
  ~Replica() {
    stops_ = true;
    ring_->Wake();
    thread_.join();
  }

  const Endpoint& address() const { return address_; }

 private:
  void Run(const ReplicatedStoreOptions& options, std::promise<Endpoint> address) {
    const auto store = ReplicatedStore::Open(*ring_, options);
    ASSERT_TRUE(store.ok()) << store.status();
    bool is_told = false;
    while (!stops_ && (*store)->status().ok()) {
      ring_->SubmitAndWait();
      (*store)->TakeCompletions();
      if (!is_told && (*store)->address() != Endpoint()) {
        is_told = true;
        address.set_value((*store)->address());
      }
    }
    EXPECT_TRUE((*store)->status().ok()) << (*store)->status();
    EXPECT_TRUE(Drain(*ring_, std::chrono::steady_clock::now() + seconds{20}).ok());
  }

  std::unique_ptr<Ring> ring_;
  Endpoint address_;
  std::atomic<bool> stops_ = false;
  std::thread thread_;
};

std::vector<std::string> Ask(const Endpoint& server, std::vector<std::string> requests) {
  absl::StatusOr<CreatedRing> created = CreateRing(Small());
  EXPECT_TRUE(created.ok()) << created.status();
  Client client(*created->ring, server, std::move(requests));
  while (!client.IsDone()) {
    created->ring->SubmitAndWait();
    client.TakeCompletions();
  }
  EXPECT_TRUE(Drain(*created->ring, std::chrono::steady_clock::now() + seconds{20}).ok());
  return client.answers();
}

TEST(ReplicatedStore, OverTheSystemsRing) {
  using Answers = std::vector<std::string>;
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "stores";
  std::filesystem::remove_all(folder);
  std::vector<std::string> directories;
  for (const char* name : {"primary", "first", "second"}) {
    directories.push_back((folder / name).string());
    std::filesystem::create_directories(directories.back());
  }
  {
    const Replica first({.directory = directories[1], .is_backup = true});
    const Replica second({.directory = directories[2], .is_backup = true});
    const Replica primary(
        {.directory = directories[0], .backups = {first.address(), second.address()}});
    EXPECT_EQ(Ask(primary.address(), {"get a", "put a 1", "put b two words", "put a 3", "get a"}),
              (Answers{"none", "ok", "ok", "ok", "value 3"}));
    for (const Replica* backup : {&first, &second}) {
      EXPECT_EQ(Ask(backup->address(), {"get a", "get b"}),
                (Answers{"value 3", "value two words"}));
    }
  }
  std::ofstream(directories[0] + "/log", std::ios::app) << "the beginning of a record";
  std::filesystem::remove(directories[2] + "/log");  // a new backup
  const Replica first({.directory = directories[1], .is_backup = true});
  const Replica second({.directory = directories[2], .is_backup = true});
  const Replica primary(
      {.directory = directories[0], .backups = {first.address(), second.address()}});
  EXPECT_EQ(Ask(primary.address(), {"get a", "get b", "put c 4", "get c"}),
            (Answers{"value 3", "value two words", "ok", "value 4"}));
  EXPECT_EQ(Ask(second.address(), {"get a", "get b", "get c"}),
            (Answers{"value 3", "value two words", "value 4"}));
}

}  // namespace
}  // namespace ioring
