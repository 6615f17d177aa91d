#include "ring_sim/simulated_world.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/ring_limits.h"
#include "ring_sim/sim_ring.h"

namespace ioring::sim {

World::World(uint64_t seed, const WorldOptions& options)
    : seed_(seed), engine_(seed, options), network_(engine_) {}

World::~World() {
  for (const std::unique_ptr<Entry>& entry : rings_) {
    CHECK(entry->ring == nullptr) << "a simulated world (seed " << seed_
                                  << ") was destroyed before ring " << entry->number << " of it";
  }
}

HostId World::AddHost(std::string_view name, const std::vector<Endpoint>& addresses) {
  machines_.emplace_back().disk = std::make_unique<Disk>(engine_);
  return network_.AddHost(name, addresses);
}

absl::StatusOr<std::unique_ptr<Ring>> World::CreateRing(HostId host, const RingOptions& options) {
  if (host >= machines_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the world has no host ", host));
  }
  if (network_.IsDown(host)) {
    return absl::FailedPreconditionError(absl::StrCat("host ", host, " is stopped: start it"));
  }
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  if (depth_ == 0) {
    std::erase_if(rings_, [](const auto& entry) { return entry->ring == nullptr; });
  }
  const uint32_t number = ++last_number_;
  auto ring = std::make_unique<SimRing>(*this, host, number, options);
  rings_.push_back(std::make_unique<Entry>(Entry{.number = number, .ring = ring.get()}));
  return ring;
}

void World::SetProgram(Ring& ring, Program program) {
  for (const std::unique_ptr<Entry>& entry : rings_) {
    if (entry->ring == nullptr || static_cast<Ring*>(entry->ring) != &ring) continue;
    CHECK(!entry->is_running) << "a callback cannot take its own place";
    entry->program = std::move(program);
    return;
  }
  LOG(FATAL) << "the ring is not of this world";
}

void World::SetHostProgram(HostId host, HostProgram program) {
  machines_[host].program = std::move(program);
  if (machines_[host].program != nullptr) machines_[host].program(HostEvent::kStarted);
}

SimRing* World::FindRing(uint32_t number) {
  for (const std::unique_ptr<Entry>& entry : rings_) {
    if (entry->number == number) return entry->ring;
  }
  return nullptr;
}

void World::Forget(const SimRing& ring) {
  for (const std::unique_ptr<Entry>& entry : rings_) {
    if (entry->ring == &ring) entry->ring = nullptr;
  }
}

// ---- Running.

// True if any had something to do.
bool World::RunPrograms() {
  bool ran = false;
  ++depth_;
  // By index: a callback may make further rings.
  for (size_t i = 0; i < rings_.size(); ++i) {
    Entry& entry = *rings_[i];
    if (!IsCallable(entry)) continue;
    if (entry.paused_until_ns > engine_.Now()) continue;
    SimRing& ring = *entry.ring;
    const bool is_due = ring.HasNews() || ring.HasPrepared() || TimerOf(ring) <= engine_.Now();
    if (!is_due && ring.CompletionQueueCount() == 0) continue;
    ran = true;
    if (StopsByChance(ring.host())) continue;
    entry.is_running = true;
    ring.Submit();
    if (const uint32_t count = ring.CompletionQueueCount(); count != 0) {
      engine_.Log(Happened::kCompletion, entry.number, count);
      const Completion* const oldest = ring.PeekCompletions().data();
      entry.program(ring);
      // It may have destroyed its ring. It may have taken all, and have got new ones in the same
      // places, but not time and again.
      const bool may_be_idle = entry.ring != nullptr && ring.CompletionQueueCount() >= count &&
                               ring.PeekCompletions().data() == oldest;
      entry.idle_calls = may_be_idle ? entry.idle_calls + 1 : 0;
      constexpr int kIdleCallsMax = 1'000;
      CHECK_LT(entry.idle_calls, kIdleCallsMax)
          << "the callback of ring " << entry.number << " takes no completion, though " << count
          << " are there: it must take all of them (seed " << seed_ << ")";
    }
    entry.is_running = false;
  }
  --depth_;
  return ran;
}

int64_t World::TimerOf(const SimRing& ring) const {
  const int64_t timer_ns = ring.NextTimer();
  return timer_ns == Engine::kNever ? timer_ns : timer_ns - machines_[ring.host()].clock_ahead_ns;
}

int64_t World::NextTimer() const {
  int64_t next_ns = Engine::kNever;
  for (const std::unique_ptr<Entry>& entry : rings_) {
    if (!IsCallable(*entry)) continue;
    const bool is_paused = entry->paused_until_ns > engine_.Now();
    next_ns = std::min(next_ns, is_paused ? entry->paused_until_ns : TimerOf(*entry->ring));
  }
  return next_ns;
}

bool World::RunActions() {
  bool ran = false;
  while (!actions_.empty() && actions_.begin()->first <= engine_.Now()) {
    absl::AnyInvocable<void()> action = std::move(actions_.begin()->second);
    actions_.erase(actions_.begin());
    action();
    ran = true;
  }
  return ran;
}

bool World::IsCallable(const Entry& entry) {
  return entry.ring != nullptr && entry.program != nullptr && !entry.is_running &&
         !entry.ring->is_stopped();
}

bool World::Step(int64_t until_ns) {
  const bool acted = RunActions();
  const bool happened = engine_.RunDue();
  // Callbacks that keep one another busy move the clock with each submit, and do not stop.
  if (RunPrograms() || happened || acted) return engine_.Now() <= until_ns;
  int64_t next_ns = std::min(engine_.next_ns(), NextTimer());
  if (!actions_.empty()) next_ns = std::min(next_ns, actions_.begin()->first);
  if (is_virtual()) {
    if (std::min(next_ns, until_ns) != Engine::kNever) engine_.SetNow(std::min(next_ns, until_ns));
    return next_ns < until_ns;
  }
  // Short, because other threads may wake a ring.
  constexpr int64_t kLongestSleepNanos = 50'000;
  const int64_t now_ns = engine_.Now();
  if (now_ns >= until_ns) return false;
  const int64_t sleep_ns = std::min({next_ns - now_ns, until_ns - now_ns, kLongestSleepNanos});
  if (sleep_ns > 0) absl::SleepFor(absl::Nanoseconds(sleep_ns));
  return std::min(next_ns, until_ns) != Engine::kNever;
}

void World::WaitFor(SimRing& ring, EnterMode mode, int64_t until_ns) {
  const int64_t ahead_ns = machines_[ring.host()].clock_ahead_ns;
  if (until_ns != Engine::kNever) until_ns -= ahead_ns;
  if (ring.HasNews() || until_ns <= engine_.Now()) {
    LookOnce(ring, mode);
  } else {
    GoOn(ring, until_ns);
  }
  if (!is_virtual()) return;
  const Faults& faults = engine_.faults();
  Random& random = engine_.random();
  if (random.Chance(faults.pause)) Pause(ring, random.Between(0, faults.pause_max_ns));
  if (random.Chance(faults.clock_jump)) {
    const int64_t by_ns = random.Between(0, faults.clock_jump_max_ns);
    engine_.Log(Happened::kClockJump, ring.host(), static_cast<uint64_t>(by_ns));
    machines_[ring.host()].clock_ahead_ns += by_ns;
  }
}

// Everybody else goes on meanwhile. A callback has no turns; code that waits goes on waiting.
void World::Pause(SimRing& ring, int64_t time_ns) {
  engine_.Log(Happened::kPause, ring.number());
  const int64_t until_ns = SaturatingAdd(engine_.Now(), time_ns);
  for (const std::unique_ptr<Entry>& entry : rings_) {
    if (entry->ring != &ring || !entry->is_running) continue;
    entry->paused_until_ns = std::max(entry->paused_until_ns, until_ns);
    return;
  }
  ring.set_waiting(true);
  while (Step(until_ns)) {
  }
  ring.set_waiting(false);
}

// Nobody sleeps. A program that only ever polls must let the others run, or what it polls for never
// comes. The submits of a callback are parts of its turn: if they did so, callbacks would run
// within one another as deep as there are rings.
void World::LookOnce(SimRing& ring, EnterMode mode) {
  if (is_virtual()) engine_.SetNow(engine_.Now() + engine_.options().call_ns);
  if (depth_ != 0 && mode == EnterMode::kSubmit) {
    engine_.RunDue();
    return;
  }
  ring.set_waiting(true);
  RunActions();
  engine_.RunDue();
  RunPrograms();
  ring.set_waiting(false);
}

void World::GoOn(SimRing& ring, int64_t until_ns) {
  ring.set_waiting(true);
  do {
    if (Step(until_ns)) continue;
    if (until_ns != Engine::kNever) break;
    CHECK(!is_virtual()) << "a ring waits without end, and nothing will happen any more (seed "
                         << seed_ << "):\n"
                         << LogText();
  } while (!ring.HasNews());
  ring.set_waiting(false);
}

void World::RunUntilIdle() {
  while (Step(Engine::kNever)) {
  }
}

void World::RunFor(std::chrono::nanoseconds time) {
  const int64_t until_ns = SaturatingAdd(engine_.Now(), time.count());
  while (Step(until_ns)) {
  }
}

bool World::RunUntil(absl::AnyInvocable<bool()> done, std::chrono::nanoseconds time) {
  const int64_t until_ns = SaturatingAdd(engine_.Now(), time.count());
  while (!done()) {
    if (!Step(until_ns)) return done();
  }
  return true;
}

void World::After(std::chrono::nanoseconds delay, absl::AnyInvocable<void()> action) {
  actions_.emplace(SaturatingAdd(engine_.Now(), delay.count()), std::move(action));
}

// ---- Faults.

void World::Partition(HostId a, HostId b) {
  SetReachable(a, b, false);
  SetReachable(b, a, false);
}

void World::Heal(HostId a, HostId b) {
  SetReachable(a, b, true);
  SetReachable(b, a, true);
}

void World::StopHost(HostId host) {
  ++machines_[host].life;  // what was to start it by itself does not
  if (network_.IsDown(host)) return;
  for (const std::unique_ptr<Entry>& entry : rings_) {
    if (entry->ring == nullptr || entry->ring->host() != host) continue;
    CHECK(!entry->is_running && !entry->ring->is_waiting())
        << "a host cannot be stopped while a program of its own runs or waits";
    entry->ring->Stop();
  }
  network_.StopHost(host);
  machines_[host].descriptors.Clear();
  if (machines_[host].program != nullptr) machines_[host].program(HostEvent::kStopped);
}

void World::StartHost(HostId host) {
  ++machines_[host].life;
  if (!network_.IsDown(host)) return;
  network_.StartHost(host);
  if (machines_[host].program != nullptr) machines_[host].program(HostEvent::kStarted);
}

bool World::CanStop(HostId host) const {
  if (machines_[host].program == nullptr) return false;
  return std::none_of(rings_.begin(), rings_.end(), [&](const std::unique_ptr<Entry>& entry) {
    return entry->ring != nullptr && entry->ring->host() == host &&
           (entry->is_running || entry->ring->is_waiting());
  });
}

bool World::StopsByChance(HostId host) {
  const Faults& faults = engine_.faults();
  Random& random = engine_.random();
  if (!CanStop(host) || !random.Chance(faults.stop_host)) return false;
  StopHost(host);
  if (random.Chance(faults.lose_power)) LosePower(host);
  After(std::chrono::nanoseconds(random.Between(faults.down_min_ns, faults.down_max_ns)),
        [this, host, life = machines_[host].life] {
          if (machines_[host].life == life) StartHost(host);
        });
  return true;
}

void World::LosePower(HostId host) {
  engine_.Log(Happened::kPowerLost, host);
  machines_[host].disk->LosePower();
}

}  // namespace ioring::sim
