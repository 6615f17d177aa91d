// SimulatedWorld: hosts, a network and disks in memory, in virtual time, and rings on them.
//
// A program that is written against Ring runs here unchanged, with as many rings as it likes, and
// with faults; and each run can be had again, from its seed:
//
//   SimulatedWorld world(seed, {.faults = {.delay_max_ns = 5'000'000, .reset = 1'000}});
//   const HostId server = world.AddHost("server", {*Endpoint::Parse("10.0.0.1:0")});
//   const HostId client = world.AddHost("client", {*Endpoint::Parse("10.0.0.2:0")});
//   std::unique_ptr<Ring> ring = *world.CreateRing(server, RingOptions{});
//   ...
//   world.SetProgram(*ring, [&](Ring& ring) {
//     for (const Completion& completion : ring.Completions()) Handle(completion);
//   });
//   world.RunFor(std::chrono::hours{1});
//
// How programs take turns. There is one thread, and nothing runs by itself. A ring belongs to
// a program, of which there are two kinds:
//  - A *callback* (SetProgram). The world submits what the ring has prepared, and calls the
//    callback whenever the ring has completions. It is to take all of them.
//  - The code that calls the world (RunFor and the like), or waits for a ring: there is one such.
// The clock is set forward only by a wait, or by RunFor and the like, and only when every ring that
// has a callback has had its turn, in the order in which the rings were made, and none has anything
// to do at this time. It is set to the next event, or to the next timer of a ring that has a
// callback, or to the end of the wait, whichever is first. So a wait lets all the others go on. A
// wait within a callback does, too: all but that one, and those that wait outside of it.
// A ring without a callback whose code does not wait for it stands still: its timers do not move
// the clock, and are late when somebody waits for it.
// A wait without end, when nothing will happen any more, ends the program, with the log.
// Each submit, and each wait that does not sleep, takes WorldOptions::call_ns.
//
// The same calls of the same program, with the same seed and options, give the same completions in
// the same order at the same times, on every system, as `digest` shows. A program must not
// make its own decisions by addresses, by the order of hash tables, by other clocks or by threads.
// (Of the program's time only Ring::PrepareTimeoutAt knows an absolute one: give it times of
// Now(host), not of std::chrono::steady_clock. Drain, too, has a deadline of that clock: it is
// bounded in true time only.)
//
// Ring's contract holds, with these of its freedoms: operations of files, and work, are done one
// after the other, in the order of their delays, in the one thread (ring_sim/disk.h);
// an acknowledgement takes no time; a Unix-domain stream is like TCP's; there is no memory to be
// registered. Handles (UnregisterSocket, RegisterSocket) are numbers of the world, not of a system.
//
// Requirements: the world outlives its rings. Threads: one; Ring::Wake alone may be called from
// others, which makes a run another one. A process that forks has no world in its child.
#ifndef IORING_RING_SIM_SIMULATED_WORLD_H_
#define IORING_RING_SIM_SIMULATED_WORLD_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_sim/disk.h"
#include "ring_sim/engine.h"
#include "ring_sim/network.h"
#include "ring_sim/options.h"
#include "ring_sim/socket.h"

namespace ioring::sim {

class SimRing;

enum class HostEvent : uint8_t { kStarted, kStopped };

class World {
 public:
  using Program = absl::AnyInvocable<void(Ring&)>;
  using HostProgram = absl::AnyInvocable<void(HostEvent)>;

  explicit World(uint64_t seed, const WorldOptions& options = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // Ends the program where a ring is left.
  ~World();

  // The addresses are the host's alone; their ports mean nothing. Every host has the loopback's
  // addresses, which reach itself, and Unix-domain paths and files of its own.
  HostId AddHost(std::string_view name, const std::vector<Endpoint>& addresses = {});
  // As ioring::CreateRing. InvalidArgument for options that cannot be.
  absl::StatusOr<std::unique_ptr<Ring>> CreateRing(HostId host, const RingOptions& options);
  // `ring` must be of this world. A null one takes the callback away.
  void SetProgram(Ring& ring, Program program);
  // What a host does by itself: with kStarted it makes its rings and their callbacks, with kStopped
  // it destroys them. It is called at once with kStarted, and then by each StopHost and StartHost.
  // Faults::stop_host is for hosts that have it. A null one takes it away.
  void SetHostProgram(HostId host, HostProgram program);

  // ---- Running. Each sets the clock forward as far as it says.

  // Until nothing will happen any more without a call from here: no event, and no timer of a ring
  // that has a callback. A timer that repeats goes on for ever.
  void RunUntilIdle();
  void RunFor(std::chrono::nanoseconds time);
  // Until `done` says so, which is asked after each step; false where the time was up first.
  bool RunUntil(absl::AnyInvocable<bool()> done, std::chrono::nanoseconds time);
  // Starts at one second.
  std::chrono::steady_clock::time_point Now() const { return TimeOf(engine_.Now()); }
  // What the host's own clock says, after Faults::clock_jump.
  std::chrono::steady_clock::time_point Now(HostId host) const { return TimeOf(NanosOf(host)); }
  // Calls `action` then, in a step of the world: to change faults, to stop a host, or to look.
  void After(std::chrono::nanoseconds delay, absl::AnyInvocable<void()> action);

  // ---- Faults.

  Faults& faults() { return engine_.faults(); }
  // Whether what `from` sends reaches `to`. Streams that it is in the way of are held, and go on
  // when it is healed, unless they time out; datagrams are lost.
  void SetReachable(HostId from, HostId to, bool reachable) {
    network_.SetReachable(from, to, reachable);
  }
  void Partition(HostId a, HostId b);
  void Heal(HostId a, HostId b);
  // The host ends in the midst of things: its sockets are gone without a word to their peers, and
  // what is in flight on its rings never completes: they can only be destroyed. Not while a program
  // of the host's own runs or waits: give its rings callbacks, and stop it from outside or by
  // After.
  void StopHost(HostId host);
  // It can have rings again. What peers still send to the old sockets is answered with resets.
  void StartHost(HostId host);
  // The host's disk is as after a loss of power: see ring_sim/disk.h. Files that are open go on to
  // be those of the old disk: stop the host before.
  void LosePower(HostId host);
  // Puts a directory on the host's disk, and those that it is in; at first there is only the root.
  // Ends the program where one of them is a file.
  void MakeDirectories(HostId host, std::string_view path) {
    machines_[host].disk->MakeDirectories(path);
  }

  // ---- Looking.

  const Disk& disk(HostId host) const { return *machines_[host].disk; }
  // The host's sockets, listeners included, and closed ones of which something is under way.
  uint32_t CountSockets(HostId host) const { return network_.CountSockets(host); }
  // Of all that has happened, and when.
  uint64_t digest() const { return engine_.digest(); }
  // The newest entries of the log: a line for each.
  std::string LogText() const { return engine_.LogText(); }
  // An entry of the program's own, which the digest is of, too.
  void Note(uint64_t subject, uint64_t value) { engine_.Log(Happened::kNote, subject, value); }
  uint64_t events() const { return engine_.events_run(); }
  // How many faults there were by chance: see WorldOptions::faults_max.
  uint64_t faults_seen() const { return engine_.random().chances(); }

 private:
  friend SimRing;

  struct Entry {
    uint32_t number;
    SimRing* ring;  // null: it was destroyed
    Program program;
    bool is_running = false;
  };

  // Of each host.
  struct Machine {
    std::unique_ptr<Disk> disk;
    HostProgram program;
    int64_t clock_ahead_ns = 0;  // of the world's
  };

  static std::chrono::steady_clock::time_point TimeOf(int64_t nanos) {
    return std::chrono::steady_clock::time_point(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::nanoseconds(nanos)));
  }

  // For rings.
  Engine& engine() { return engine_; }
  int64_t NanosOf(HostId host) const { return engine_.Now() + machines_[host].clock_ahead_ns; }
  Network& network() { return network_; }
  Disk& disk_of(HostId host) { return *machines_[host].disk; }
  SimRing* FindRing(uint32_t number);
  void Forget(const SimRing& ring);
  // Lets the world go on until the ring has something to do, or until the time, which is of its
  // host's clock.
  void WaitFor(SimRing& ring, int64_t until_ns);
  void GoOn(SimRing& ring, int64_t until_ns);

  // One step; false where nothing happened, and it is `until_ns` now (kNever: nothing ever will).
  bool Step(int64_t until_ns);
  bool RunActions();
  bool RunPrograms();
  static bool IsCallable(const Entry& entry);
  // When the ring's next timer is due, by the world's clock.
  int64_t TimerOf(const SimRing& ring) const;
  int64_t NextTimer() const;
  // None of its programs runs or waits.
  bool CanStop(HostId host) const;
  bool StopsByChance(HostId host);
  bool is_virtual() const { return engine_.options().clock == Clock::kVirtual; }

  Engine engine_;
  Network network_;
  std::deque<Machine> machines_;               // by HostId
  std::vector<std::unique_ptr<Entry>> rings_;  // in the order in which they were made
  std::multimap<int64_t, absl::AnyInvocable<void()>> actions_;  // by time, then as they were given
  uint32_t last_number_ = 0;
  int depth_ = 0;  // of callbacks
};

}  // namespace ioring::sim

namespace ioring {

using SimulatedWorld = sim::World;

}  // namespace ioring

#endif  // IORING_RING_SIM_SIMULATED_WORLD_H_
