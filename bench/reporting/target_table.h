// What the library promises of its speed: a row for each promise.
#ifndef IORING_BENCH_REPORTING_TARGET_TABLE_H_
#define IORING_BENCH_REPORTING_TARGET_TABLE_H_

#include <array>
#include <cstddef>
#include <string_view>

#include "bench/comparison.h"

namespace ioring {

enum class TargetId {
  // Servers. "Few" is 50 connections, "many" is 1,000.
  kLiburing,
  kEpollUpTo4KiB,
  kEpollAbove4KiB,
  kOwnEpoll,
  kAsioFew,
  kAsioMany,
  kAsioUringFew,
  kAsioUringMany,
  kLibuvFew,
  kLibuvMany,
  kLibeventFew,
  kLibeventMany,
  kGo,
  kLatency,
  kLatencySpinning,
  kTailBatched,
  // Components.
  kInstructionsManaged,
  kInstructionsMirror,
  kVirtualCalls,
  kIdleBytesUring,
  kIdleBytesEpoll,
  kAcquireOneSlab,
  kAcquireManySlabs,
  kRegistration,
  kSimulation,
};
inline constexpr size_t kTargetIds = static_cast<size_t>(TargetId::kSimulation) + 1;

// Promises that have one explanation where they are not kept. See findings.h.
enum class Topic {
  kNone,
  kHandWrittenEpoll,
  kHandWrittenLiburing,
  kOwnEpoll,
  kGo,
  kPeers,
  kInstructions,
  kLatency,
  kTail,
  kPool,
};
inline constexpr size_t kTopics = static_cast<size_t>(Topic::kPool) + 1;

// ---- Promises about servers, measured in the same rounds.

// What a server is compared by: the ratio to the same of another server.
struct Quantity {
  Figure figure;
  std::string_view name;
  bool at_least = false;  // whether more is better
};
inline constexpr Quantity kCpu = {&Sample::server_cpu_us_per_message, "CPU per message"};
inline constexpr Quantity kSaturatedCpu = {&Sample::server_cpu_us_per_message,
                                           "CPU per message (the generator is saturated)"};
inline constexpr Quantity kThroughput = {&Sample::messages_per_second, "throughput", true};
inline constexpr Quantity kP50 = {&Sample::latency_p50_us, "p50"};
inline constexpr Quantity kP99 = {&Sample::latency_p99_us, "p99"};

// The loads that a promise is about.
constexpr bool IsOne(const Shape& shape) { return shape == Shape{1, 64, 1}; }
constexpr bool IsFew(const Shape& shape) {
  return shape.depth == 1 && shape.connections == 50 && shape.message_bytes <= 16 << 10;
}
constexpr bool IsFewUpTo4KiB(const Shape& shape) {
  return IsFew(shape) && shape.message_bytes <= 4 << 10;
}
constexpr bool IsFewAbove4KiB(const Shape& shape) { return IsFew(shape) && !IsFewUpTo4KiB(shape); }
constexpr bool IsMany(const Shape& shape) {
  return shape.depth == 1 && shape.connections == 1000 && shape.message_bytes <= 1 << 10;
}
constexpr bool IsFewOrMany(const Shape& shape) { return IsFew(shape) || IsMany(shape); }
constexpr bool IsManySmall(const Shape& shape) { return shape == Shape{1000, 64, 1}; }

// Servers are known by their names: managed, managed_epoll, managed_spin (--spin=50us) and
// managed_batch (--batch_delay) are the library's; those that begin with uring_ are hand-written on
// liburing; epoll_level is hand-written on epoll; asio, libuv, libevent and go are peers.
struct ServerTarget {
  TargetId id;
  std::string_view server;
  std::string_view base;
  bool (*is_about)(const Shape&);
  Quantity quantity;
  double limit;
  Topic topic;
  // Where the generator is saturated, it sets the throughput itself. Then CPU time counts, and this
  // is the most of it; 0 where `quantity` always counts.
  double saturated_cpu_max = 0;
};

// As a base: the server hand-written on liburing that takes the least CPU time.
inline constexpr std::string_view kBestLiburing = "uring_*";

// In the order in which a report has them.
inline constexpr ServerTarget kServerTargets[] = {
    {TargetId::kLiburing, "managed", kBestLiburing, IsFewOrMany, kCpu, 1.03,
     Topic::kHandWrittenLiburing},
    {TargetId::kEpollUpTo4KiB, "managed", "epoll_level", IsFewUpTo4KiB, kCpu, 0.85,
     Topic::kHandWrittenEpoll},
    {TargetId::kEpollAbove4KiB, "managed", "epoll_level", IsFewAbove4KiB, kCpu, 0.75,
     Topic::kHandWrittenEpoll},
    {TargetId::kOwnEpoll, "managed_epoll", "epoll_level", IsFewOrMany, kCpu, 1.05,
     Topic::kOwnEpoll},
    {TargetId::kAsioFew, "managed", "asio", IsFew, kThroughput, 1.20, Topic::kPeers, 0.80},
    {TargetId::kAsioMany, "managed", "asio", IsMany, kThroughput, 1.10, Topic::kPeers, 0.90},
    {TargetId::kAsioUringFew, "managed", "asio_uring", IsFew, kThroughput, 1.20, Topic::kPeers,
     0.80},
    {TargetId::kAsioUringMany, "managed", "asio_uring", IsMany, kThroughput, 1.10, Topic::kPeers,
     0.90},
    {TargetId::kLibuvFew, "managed", "libuv", IsFew, kThroughput, 1.20, Topic::kPeers, 0.80},
    {TargetId::kLibuvMany, "managed", "libuv", IsMany, kThroughput, 1.10, Topic::kPeers, 0.90},
    {TargetId::kLibeventFew, "managed", "libevent", IsFew, kThroughput, 1.20, Topic::kPeers, 0.80},
    {TargetId::kLibeventMany, "managed", "libevent", IsMany, kThroughput, 1.10, Topic::kPeers,
     0.90},
    {TargetId::kGo, "managed", "go", IsFewOrMany, kThroughput, 1.4, Topic::kGo},
    {TargetId::kLatency, "managed", "epoll_level", IsOne, kP50, 1.0, Topic::kLatency},
    {TargetId::kLatencySpinning, "managed_spin", "epoll_level", IsOne, kP50, 0.45, Topic::kLatency},
    {TargetId::kTailBatched, "managed_batch", "epoll_level", IsManySmall, kP99, 0.9, Topic::kTail},
};

// ---- Promises about components.

// A member of an object in JSON that is a string.
struct Property {
  std::string_view name;
  std::string_view value;
};

// Which of the objects that a component wrote: the one that has these properties. A property
// without a name is none.
using Properties = std::array<Property, 2>;

struct ComponentTarget {
  TargetId id;
  std::string_view what;
  std::string_view load;
  std::string_view component;  // Component::name
  std::string_view member;     // of the object; a number
  Properties of;
  Properties base = {};  // the number is divided by that of this object, where there is one
  double limit;          // the most
  Topic topic = Topic::kNone;
};

inline constexpr ComponentTarget kComponentTargets[] = {
    {.id = TargetId::kInstructionsManaged,
     .what = "managed / uring_multishot, user-space instructions per message",
     .load = "50 connections, 64 B",
     .component = "per_message",
     .member = "instructions",
     .of = {{{"server", "managed"}}},
     .base = {{{"server", "uring_multishot"}}},
     .limit = 1.3,
     .topic = Topic::kInstructions},
    {.id = TargetId::kInstructionsMirror,
     .what = "mirror / uring_oneshot, user-space instructions per message",
     .load = "50 connections, 64 B",
     .component = "per_message",
     .member = "instructions",
     .of = {{{"server", "mirror"}}},
     .base = {{{"server", "uring_oneshot"}}},
     .limit = 1.3,
     .topic = Topic::kInstructions},
    {.id = TargetId::kVirtualCalls,
     .what = "the virtual interface, part of CPU per message",
     .load = "50 connections, 64 B",
     .component = "virtual_call",
     .member = "part",
     .of = {{{"kind", "virtual_call"}}},
     .limit = 0.01},
    {.id = TargetId::kIdleBytesUring,
     .what = "bytes per idle connection in the ring, io_uring",
     .load = "managed receives",
     .component = "idle_connections",
     .member = "bytes_each",
     .of = {{{"of", "ring"}, {"backend", "io_uring"}}},
     .limit = 128},
    {.id = TargetId::kIdleBytesEpoll,
     .what = "bytes per idle connection in the ring, epoll",
     .load = "managed receives",
     .component = "idle_connections",
     .member = "bytes_each",
     .of = {{{"of", "ring"}, {"backend", "epoll"}}},
     .limit = 128},
    {.id = TargetId::kAcquireOneSlab,
     .what = "acquire and release, ns",
     .load = "1 slab",
     .component = "slab_pool_benchmark",
     .member = "cpu_time",
     .of = {{{"name", "Pair/pool/slabs/1"}}},
     .limit = 5,
     .topic = Topic::kPool},
    {.id = TargetId::kAcquireManySlabs,
     .what = "acquire and release, ns",
     .load = "64 slabs",
     .component = "slab_pool_benchmark",
     .member = "cpu_time",
     .of = {{{"name", "Pair/pool/slabs/64"}}},
     .limit = 5,
     .topic = Topic::kPool},
    {.id = TargetId::kRegistration,
     .what = "registering by the slab / as one region",
     .load = "1,024 buffers of 4 KiB",
     .component = "slab_pool_benchmark",
     .member = "cpu_time",
     .of = {{{"name", "Register/as_a_slab/buffers/1024"}}},
     .base = {{{"name", "Register/as_one_region/buffers/1024"}}},
     .limit = 1.2},
    {.id = TargetId::kSimulation,
     .what = "a simulated operation, ns (1,000: a million a second)",
     .load = "echo, 50 connections",
     .component = "simulation_benchmark",
     .member = "cpu_time",
     .of = {{{"name", "Echo/connections/50"}}},
     .limit = 1000},
};

// ---- Both.

constexpr bool EachTargetHasOneRow() {
  std::array<int, kTargetIds> rows = {};
  for (const ServerTarget& row : kServerTargets) ++rows[static_cast<size_t>(row.id)];
  for (const ComponentTarget& row : kComponentTargets) ++rows[static_cast<size_t>(row.id)];
  for (const int count : rows) {
    if (count != 1) return false;
  }
  return true;
}
static_assert(EachTargetHasOneRow());

constexpr Topic TopicOf(TargetId id) {
  for (const ServerTarget& row : kServerTargets) {
    if (row.id == id) return row.topic;
  }
  for (const ComponentTarget& row : kComponentTargets) {
    if (row.id == id) return row.topic;
  }
  return Topic::kNone;
}

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_TARGET_TABLE_H_
