#include "ring/conformance/suite.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/test_ring.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

std::string ConformanceName(const testing::TestParamInfo<ConformanceBackend>& info) {
  return info.param.name;
}

void PrintTo(const ConformanceBackend& backend, std::ostream* out) { *out << backend.name; }

bool SkipsAllowed() { return std::getenv("IORING_ALLOW_SKIPS") != nullptr; }

RingOptions RingConformance::Options() const {
  RingOptions options;
  options.submission_entries = 128;
  options.max_connections = 128;
  options.max_listeners = 8;
  options.max_files = 8;
  options.max_buffers = 16;
  options.max_buffer_groups = 4;
  options.max_operations = 1024;
  // So that no close gives up on a slow machine. The tests of that time set their own.
  options.linger_time = std::chrono::hours{1};
  return options;
}

RingOptions RingConformance::Masked(RingOptions options) const {
  options.disabled = GetParam().disabled;
  if (GetParam().adjust) GetParam().adjust(options);
  return options;
}

TestRing& RingConformance::MakeRing() { return MakeRing(Options()); }

TestRing& RingConformance::MakeRing(const RingOptions& options) {
  const RingOptions masked = Masked(options);
  // Tests that run at the same time share what memory may be locked; where it is short, a ring
  // makes do with a smaller queue than the cases count on.
  const std::chrono::steady_clock::time_point deadline =
      std::chrono::steady_clock::now() + kPatience;
  absl::StatusOr<std::unique_ptr<Ring>> ring;
  do {
    ring = GetParam().create(masked);
    CHECK_OK(ring.status()) << "this machine gives no ring, so nothing can be said of it";
  } while ((*ring)->SubmissionQueueSpace() <= masked.submission_entries / 2 &&
           std::chrono::steady_clock::now() < deadline);
  rings_.push_back(std::make_unique<TestRing>(*std::move(ring), masked));
  return *rings_.back();
}

void RingConformance::Destroy(TestRing& ring) {
  ring.Finish();
  std::erase_if(rings_, [&](const std::unique_ptr<TestRing>& own) { return own.get() == &ring; });
}

void RingConformance::TearDown() {
  while (!rings_.empty()) {
    rings_.back()->Finish();
    rings_.pop_back();
  }
}

}  // namespace ioring
