#include "bench/reporting/findings.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/reporting/target_table.h"

namespace ioring {
namespace {

struct Known {
  Topic topic;
  std::string_view about;
  std::string_view text;
};

// On a virtual machine with two processors (AMD EPYC, Linux 6.18), over loopback.
constexpr Known kKnown[] = {
    {Topic::kHandWrittenEpoll, "io_uring and hand-written epoll",
     "Profile (perf record -e cpu-clock; AMD EPYC, Linux 6.18, 50 connections, 64 B): 81 % "
     "of the server's time is tcp_sendmsg and what it calls, 10 % is receiving, 1.6 % user "
     "space. io_uring saves system calls, leaving 0.03 to 0.4 instead of 2.0 to 2.3 per "
     "message, and there one costs 0.13 us (perf bench syscall basic): 0.25 of 5.3 us, of "
     "which its own work takes some back. Hand-written liburing is at 0.96 of epoll. Tried "
     "without gain: buffers of 16, 32 and 256 KiB for 64; --batch_delay of 5 to 100 us; "
     "--spin. Registered memory made it 4 to 7 % dearer at 16 KiB, and is not used for "
     "sockets any more."},
    {Topic::kHandWrittenLiburing, "io_uring and hand-written liburing",
     "The rounds of one run differ by tens of percent at 1,000 connections, and the best of four "
     "hand-written servers is chosen after the run, so that luck is on its side: from run to run "
     "the ratio was 0.93 to 1.04. Profile (as above): 1.6 % of the time in user space, 0.7 % in "
     "the hand-written server. Tried: everything that a message runs through inlined; counters, "
     "room and look-ups once per batch (kept); fewer and larger buffers (no difference)."},
    {Topic::kOwnEpoll, "The library's epoll and a hand-written one",
     "Both make the same calls for a message, so that a ratio above the limit is noise or user "
     "space: 1,368 instructions instead of 53, some 70 ns of 5 us (AMD EPYC). Tried: the "
     "inlining that io_uring gained by."},
    {Topic::kGo, "Go",
     "A message's time is the kernel's TCP for every server (see io_uring and hand-written epoll), "
     "and the generator was busy for 84 to 98 % of the time, so that throughput cannot differ by "
     "more. By CPU time per message Go took 1.12 to 1.4 of hand-written epoll's."},
    {Topic::kPeers, "Asio, libuv and libevent",
     "Asio and libuv make two or three calls per message on epoll, where hand-written epoll makes "
     "2.1, so that what holds of that holds of them: more than 90 % of the time is the kernel's "
     "TCP, which no server can save. Asio on io_uring makes hardly any, and gains as little by it. "
     "What was tried is said there. Where the generator was not saturated, a server's time is the "
     "kernel's TCP too."},
    {Topic::kInstructions, "User-space instructions",
     "What is left is what the contract promises and a hand-written server leaves out: ids with "
     "generations, one receive and one send per connection, bounds of memory, uses of buffers, "
     "statistics, errors as one enumeration, tokens that are opaque, wakes and timers. Together "
     "600 instructions (managed) and 500 (mirror), 2 % of a message's CPU time. Tried: the path "
     "inlined, entries cleared at once, room and counters once per batch (kept: 1,326 to 850 and "
     "1,033 to 660 before timers and wakes moved into the ring); link-time optimisation of all "
     "sources (a further 3 to 9 %, not required of users)."},
    {Topic::kLatency, "Latency at one connection",
     "A message waits for two sleeping processes to be woken, which is most of its 62 us (25 with "
     "a server that spins; AMD EPYC), and the ratio moved between 0.99 and 1.11 from run to run. "
     "Tried: --spin."},
    {Topic::kTail, "The 99th percentile with --batch_delay",
     "With 1,000 messages on their way it is the time in which all are served once, 7 ms. From run "
     "to run the ratio was 0.76 to 0.97. Tried: delays of 5 to 100 us."},
    {Topic::kPool, "A buffer from the pool and back",
     "A pair is a few loads and stores in memory that is in the cache, 3.7 ns on an undisturbed "
     "machine (AMD EPYC). Compare Pair/malloc, which was measured beside it: 23 ns there. If that "
     "is slower too, the processor was another's for a part of the time."},
};

constexpr bool EachTopicIsKnownOnce() {
  std::array<int, kTopics> rows = {};
  rows[static_cast<size_t>(Topic::kNone)] = 1;
  for (const Known& known : kKnown) ++rows[static_cast<size_t>(known.topic)];
  for (const int count : rows) {
    if (count != 1) return false;
  }
  return true;
}
static_assert(EachTopicIsKnownOnce());

}  // namespace

std::vector<Finding> FindingsAbout(std::span<const Target> targets) {
  std::array<bool, kTopics> is_needed = {};
  for (const Target& target : targets) {
    if (!target.reached) is_needed[static_cast<size_t>(TopicOf(target.id))] = true;
  }
  std::vector<Finding> findings;
  for (const Known& known : kKnown) {
    if (!is_needed[static_cast<size_t>(known.topic)]) continue;
    findings.push_back({.about = std::string(known.about), .text = std::string(known.text)});
  }
  return findings;
}

}  // namespace ioring
