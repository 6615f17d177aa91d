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

constexpr std::string_view kWhereToRead =
    "What profiles found on one machine, and what was tried: docs/benchmarks.md has a section of "
    "this name.";

// A section of docs/benchmarks.md.
struct Section {
  Topic topic;
  std::string_view heading;
};

constexpr Section kSections[] = {
    {Topic::kHandWrittenEpoll, "io_uring and hand-written epoll"},
    {Topic::kHandWrittenLiburing, "io_uring and hand-written liburing"},
    {Topic::kOwnEpoll, "The library's epoll and a hand-written one"},
    {Topic::kGo, "Go"},
    {Topic::kPeers, "Asio, libuv and libevent"},
    {Topic::kInstructions, "User-space instructions"},
    {Topic::kLatency, "Latency at one connection"},
    {Topic::kTail, "The 99th percentile with --batch_delay"},
    {Topic::kPool, "A buffer from the pool and back"},
};

constexpr bool EachTopicHasOneSection() {
  std::array<int, kTopics> sections = {};
  sections[static_cast<size_t>(Topic::kNone)] = 1;
  for (const Section& section : kSections) ++sections[static_cast<size_t>(section.topic)];
  for (const int count : sections) {
    if (count != 1) return false;
  }
  return true;
}
static_assert(EachTopicHasOneSection());

}  // namespace

std::vector<Finding> FindingsAbout(std::span<const Target> targets) {
  std::array<bool, kTopics> is_needed = {};
  for (const Target& target : targets) {
    if (!target.reached) is_needed[static_cast<size_t>(TopicOf(target.id))] = true;
  }
  std::vector<Finding> findings;
  for (const Section& section : kSections) {
    if (!is_needed[static_cast<size_t>(section.topic)]) continue;
    findings.push_back({.about = std::string(section.heading), .text = std::string(kWhereToRead)});
  }
  return findings;
}

}  // namespace ioring
