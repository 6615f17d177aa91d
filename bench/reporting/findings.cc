#include "bench/reporting/findings.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"

namespace ioring {
namespace {

// What `Target::what` of a kind of target begins with, and two things that are in it.
struct Known {
  std::string_view beginning;
  std::string_view base;
  std::string_view figure;
  std::string_view about;
  std::string_view text;
};

// On a virtual machine with two processors (AMD EPYC, Linux 6.18), over loopback.
constexpr Known kKnown[] = {
    {"managed /", "/ epoll_level", "CPU per message", "io_uring and hand-written epoll",
     "Profile (perf record -e cpu-clock; AMD EPYC, Linux 6.18, 50 connections, 64 B): 81 % "
     "of the server's time is tcp_sendmsg and what it calls, 10 % is receiving, 1.6 % user "
     "space. io_uring saves system calls, leaving 0.03 to 0.4 instead of 2.0 to 2.3 per "
     "message, and there one costs 0.13 us (perf bench syscall basic): 0.25 of 5.3 us, of "
     "which its own work takes some back. Hand-written liburing is at 0.96 of epoll. Tried "
     "without gain: buffers of 16, 32 and 256 KiB for 64; --batch_delay of 5 to 100 us; "
     "--spin. Registered memory made it 4 to 7 % dearer at 16 KiB, and is not used for "
     "sockets any more."},
    {"managed /", "/ uring_", "CPU per message", "io_uring and hand-written liburing",
     "The rounds of one run differ by tens of percent at 1,000 connections, and the best of four "
     "hand-written servers is chosen after the run, so that luck is on its side: from run to run "
     "the ratio was 0.93 to 1.04. Profile (as above): 1.6 % of the time in user space, 0.7 % in "
     "the hand-written server. Tried: everything that a message runs through inlined; counters, "
     "room and look-ups once per batch (kept); fewer and larger buffers (no difference)."},
    {"managed_epoll", "/ epoll_level", "CPU per message",
     "The library's epoll and a hand-written one",
     "Both make the same calls for a message, so that a ratio above the limit is noise or user "
     "space: 1,368 instructions instead of 53, some 70 ns of 5 us (AMD EPYC). Tried: the "
     "inlining that io_uring gained by."},
    {"managed /", "/ go", "", "Go",
     "A message's time is the kernel's TCP for every server (see io_uring and hand-written epoll), "
     "and the generator was busy for 84 to 98 % of the time, so that throughput cannot differ by "
     "more. By CPU time per message Go took 1.12 to 1.4 of hand-written epoll's."},
    {"managed /", "", "CPU per message (the generator", "Asio, libuv and libevent",
     "Asio and libuv make two or three calls per message on epoll, where hand-written epoll makes "
     "2.1, so that what holds of that holds of them: more than 90 % of the time is the kernel's "
     "TCP, which no server can save. Asio on io_uring makes hardly any, and gains as little by it. "
     "What was tried is said there."},
    {"managed /", "", ", throughput", "Asio, libuv and libevent, by throughput",
     "The generator was not saturated, but a server's time is the kernel's TCP here too; see "
     "io_uring and hand-written epoll."},
    {"", "", "user-space instructions", "User-space instructions",
     "What is left is what the contract promises and a hand-written server leaves out: ids with "
     "generations, one receive and one send per connection, bounds of memory, uses of buffers, "
     "statistics, errors as one enumeration, tokens that are opaque, wakes and timers. Together "
     "600 instructions (managed) and 500 (mirror), 2 % of a message's CPU time. Tried: the path "
     "inlined, entries cleared at once, room and counters once per batch (kept: 1,326 to 850 and "
     "1,033 to 660 before timers and wakes moved into the ring); link-time optimisation of all "
     "sources (a further 3 to 9 %, not required of users)."},
    {"", "/ epoll_level", ", p50", "Latency at one connection",
     "A message waits for two sleeping processes to be woken, which is most of its 62 us (25 with "
     "a server that spins; AMD EPYC), and the ratio moved between 0.99 and 1.11 from run to run. "
     "Tried: --spin."},
    {"managed_batch", "/ epoll_level", ", p99", "The 99th percentile with --batch_delay",
     "With 1,000 messages on their way it is the time in which all are served once, 7 ms. From run "
     "to run the ratio was 0.76 to 0.97. Tried: delays of 5 to 100 us."},
    {"acquire and release", "", "", "A buffer from the pool and back",
     "A pair is a few loads and stores in memory that is in the cache, 3.7 ns on an undisturbed "
     "machine (AMD EPYC). Compare Pair/malloc, which was measured beside it: 23 ns there. If that "
     "is slower too, the processor was another's for a part of the time."},
};

bool IsAbout(const Target& target, const Known& known) {
  return absl::StartsWith(target.what, known.beginning) &&
         absl::StrContains(target.what, known.base) && absl::StrContains(target.what, known.figure);
}

}  // namespace

std::vector<Finding> FindingsAbout(std::span<const Target> targets) {
  bool is_needed[std::size(kKnown)] = {};
  for (const Target& target : targets) {
    if (target.reached) continue;
    const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                     [&](const Known& one) { return IsAbout(target, one); });
    if (known != std::end(kKnown)) is_needed[known - std::begin(kKnown)] = true;
  }
  std::vector<Finding> findings;
  for (size_t i = 0; i < std::size(kKnown); ++i) {
    if (!is_needed[i]) continue;
    findings.push_back(
        {.about = std::string(kKnown[i].about), .text = std::string(kKnown[i].text)});
  }
  return findings;
}

}  // namespace ioring
