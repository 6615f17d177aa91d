// SimulatedWorld: hosts, a network and disks in memory, in virtual time, and rings on them.
//
// A program that is written against Ring runs here unchanged, on any number of rings, and with
// faults. The same seed repeats a run exactly:
//
//   SimulatedWorld world(seed, {.faults = {.delay_max_ns = 5'000'000, .reset = 1'000}});
//   const sim::HostId server = world.AddHost("server", {*Endpoint::Parse("10.0.0.1:0")});
//   const sim::HostId client = world.AddHost("client", {*Endpoint::Parse("10.0.0.2:0")});
//   std::unique_ptr<Ring> ring = *world.CreateRing(server, RingOptions{});
//   ...
//   world.SetProgram(*ring, [](Ring& on) {
//     for (const Completion& completion : on.Completions()) Handle(completion);
//   });
//   world.RunFor(std::chrono::hours{1});
//
// Turns: there is one thread, and nothing runs by itself. Each ring belongs to a program. There are
// two kinds of programs:
//  - A callback (SetProgram). The world submits the operations that the ring has prepared, and
//    calls the callback whenever the ring has completions. The callback must take all of them; one
//    that takes none ends the program.
//  - The code that calls the world (RunFor and the like), or waits on a ring. There is one of it.
//
// Clock: a wait, RunFor and the like move the clock. They move it once every ring with a
// callback has had its turn, in the order in which the rings were made, and none has anything to do
// at the present time. The clock moves to the next event, to the next timer of a ring with a
// callback, or to the end of the wait, whichever is first. A wait therefore lets all other programs
// run. So does a wait within a callback, except for that callback and for code that waits outside
// of it. A ring without a callback stands still while no code waits on it: its timers do not move
// the clock, and are late at the next wait.
// A submit, and a wait that does not sleep, takes WorldOptions::call_ns where it looks at the world
// (of those that find completions, only some do), and lets all others have one turn. A submit
// within a callback does not let others run.
// If a wait without a limit begins when nothing will happen any more, the program ends, and prints
// the seed and the log.
//
// Repeating: the same calls of the same program, with the same seed and options, give the same
// completions in the same order at the same times, on every system. `digest` shows it. A program
// must not decide by addresses, by the order of hash tables, by other clocks or by threads. (Give
// Ring::PrepareTimeoutAt times of Now(host), not of std::chrono::steady_clock. The deadline of
// Drain is a time of that clock, so that it bounds true time only.)
//
// Ring's contract holds. Of what it leaves open, this holds here: operations of files, and work,
// run one after the other, in the order of their delays, in the one thread (ring_sim/disk.h). An
// acknowledgement takes no time. A Unix-domain stream is like one of TCP. No memory is registered.
// Handles (UnregisterSocket, RegisterSocket; RegisterFile, FileHandle) are numbers of the world,
// not of a system.
//
// Requires: the world outlives its rings.
// Threads: one, the one that makes the world. Only Ring::Wake may be called from others (then
// without Faults::wake_delay_max_ns), and then a run is not repeated. From a signal handler it may
// be called only where that delay is 0. The child of a fork must not use the world.
#ifndef IORING_RING_SIM_SIMULATED_WORLD_H_
#define IORING_RING_SIM_SIMULATED_WORLD_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_sim/descriptors.h"
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

  // The addresses are the host's alone; their ports mean nothing. To reach others, a host needs an
  // address of the same family (else kNetworkUnreachable). Every host has the loopback's addresses,
  // which reach itself, and Unix-domain paths and files of its own.
  HostId AddHost(std::string_view name, const std::vector<Endpoint>& addresses = {});
  // Makes a ring of the host. InvalidArgument for options that cannot be.
  absl::StatusOr<std::unique_ptr<Ring>> CreateRing(HostId host, const RingOptions& options);
  // `ring` must be of this world. A null one takes the callback away.
  void SetProgram(Ring& ring, Program program);
  // The program of a host that stops and starts. With kStarted it makes the host's rings and their
  // callbacks; with kStopped it destroys them. The world calls it at once with kStarted, and then
  // at each StopHost and StartHost. Faults::stop_host stops only hosts that have such a program. A
  // null one takes it away.
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
  // Sets whether bytes that `from` sends reach `to`. If they do not, streams between the two wait,
  // and continue once `to` is reachable again, unless they time out; datagrams and resets are lost,
  // so that the peer of a connection that is reset hears of it only when it sends. What is made
  // reachable is so, whatever Faults::partition has cut before.
  void SetReachable(HostId from, HostId to, bool reachable) {
    network_.SetReachable(from, to, reachable);
  }
  void Partition(HostId a, HostId b);
  void Heal(HostId a, HostId b);
  // Stops the host at once. Its sockets are gone, and their peers are not told. Operations in
  // flight on its rings never complete, and nothing uses their memory any more: listeners and files
  // can be closed, what is registered can be unregistered, and the ring destroyed. What else asks
  // for a socket is FailedPrecondition, and a submit or a wait ends the program. A host that
  // Faults::stop_host has stopped stays down until StartHost. Requires: no program of the host runs
  // or waits. Give its rings callbacks, and stop it from outside of them, or by After.
  void StopHost(HostId host);
  // The host can have rings again. It answers with resets to bytes, and ends, for its old sockets.
  // Nothing happens where it runs.
  void StartHost(HostId host);
  // Leaves the host's disk as after a loss of power: see ring_sim/disk.h. Open files remain files
  // of the old disk, so stop the host first.
  void LosePower(HostId host);
  // Puts a directory on the host's disk, and those that it is in; at first there is only the root.
  // Ends the program where one of them is a file.
  void MakeDirectories(HostId host, std::string_view path) {
    machines_[host].disk->MakeDirectories(path);
  }

  // ---- Calls of a program besides its rings. They happen at once, and take no time.

  // Its functions are these calls, and what happens to the disk.
  Disk& disk(HostId host) { return *machines_[host].disk; }
  // The open files of the host, those of its rings that were asked for among them.
  Descriptors& descriptors(HostId host) { return machines_[host].descriptors; }

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
    int64_t paused_until_ns = 0;
    int idle_calls = 0;  // the last ones, in which the program took nothing
  };

  // Of each host.
  struct Machine {
    std::unique_ptr<Disk> disk;
    Descriptors descriptors;
    HostProgram program;
    int64_t clock_ahead_ns = 0;  // of the world's
    uint64_t life = 0;           // how often it was to stop or start
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
  bool IsItsThread() const { return std::this_thread::get_id() == thread_; }
  SimRing* FindRing(uint32_t number);
  void Forget(const SimRing& ring);
  // Lets the world go on until the ring has something to do, or until the time, which is of its
  // host's clock.
  void WaitFor(SimRing& ring, EnterMode mode, int64_t until_ns);
  void LookOnce(SimRing& ring, EnterMode mode);
  void GoOn(SimRing& ring, int64_t until_ns);
  void Pause(SimRing& ring, int64_t time_ns);

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

  const uint64_t seed_;
  const std::thread::id thread_ = std::this_thread::get_id();
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
