// The conformance suite: proves that a backend keeps the contract of ring/ring.h.
//
// A backend's test links //ring/conformance, which brings the tests, and names the
// backend once for each mask of its capabilities (ring/conformance/masks.h):
//
//   INSTANTIATE_TEST_SUITE_P(Uring, RingConformance, testing::ValuesIn(Backends()),
//                            ConformanceName);
//
// The suite knows no operating system: both ends of every connection go through rings.
// Each test names the rule of ring/ring.h, or the defect of other libraries, that it is
// about; what holds always is checked throughout by LedgerRing. What a system lacks
// (IPv6, Unix-domain sockets) fails, unless the environment variable IORING_ALLOW_SKIPS
// is set: then it is skipped, loudly.
#ifndef IORING_RING_CONFORMANCE_SUITE_H_
#define IORING_RING_CONFORMANCE_SUITE_H_

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/native_sockets.h"
#include "ring/conformance/test_ring.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

// A backend under one mask.
struct ConformanceBackend {
  // Of the mask; letters and digits.
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Ring>>(const RingOptions&)> create;
  CapabilitySet disabled;
  // Further options, applied to every ring; may be empty.
  std::function<void(RingOptions&)> adjust;
  // Honours ListenerOptions::share_port.
  bool shares_ports = false;
  // Kinds of message sockets that its system has, besides those that rings make.
  std::vector<NativeKind> native_kinds = {};
  // Sets SO_LINGER on a socket: its close waits for so long until its bytes are delivered.
  std::function<void(NativeHandle, std::chrono::seconds)> set_linger = {};
};

// The last part of a test's name.
std::string ConformanceName(const testing::TestParamInfo<ConformanceBackend>& info);
void PrintTo(const ConformanceBackend& backend, std::ostream* out);

class RingConformance : public testing::TestWithParam<ConformanceBackend> {
 protected:
  // Small limits, so that tests reach them and rings are made quickly.
  RingOptions Options() const;
  // What a plain ring is made with, after the mask and the backend's adjustments.
  RingOptions Masked(RingOptions options) const;
  // A ring of the backend, which lives to the end of the test and is checked then.
  TestRing& MakeRing();
  TestRing& MakeRing(const RingOptions& options);
  // Brings a ring to rest and destroys it before the end.
  void Destroy(TestRing& ring);

  void TearDown() override;

 private:
  std::vector<std::unique_ptr<TestRing>> rings_;
};

// Whether what this system lacks may be skipped.
bool SkipsAllowed();

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_SUITE_H_
