// The conformance suite over Registered I/O, of which there is a fake.
#include <vector>

#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/masks.h"
#include "ring/conformance/suite.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/testing/rio_fake.h"
#include "ring_rio/testing/set_linger.h"

namespace ioring {
namespace {

ConformanceBackend Rio() {
  return {
      .create =
          [](const RingOptions& options) { return RioRing::CreateRio(options, rio::RioFake()); },
      .set_linger = &rio::SetLinger,
  };
}

std::vector<BackendMask> Masks() {
  std::vector<BackendMask> masks = EmulatedMasks();
  // Memory is registered, and sockets do without.
  masks.push_back({"FixedSocketIoMasked", {Capability::kFixedSocketIo}});
  return masks;
}

INSTANTIATE_TEST_SUITE_P(Rio, RingConformance, testing::ValuesIn(UnderMasks(Rio(), Masks())),
                         ConformanceName);

// Registered memory, queues, requests.
[[maybe_unused]] const bool nothing_left = rio::ExpectNothingLeft(
    [](const RingOptions& options) { return RioRing::CreateRio(options, rio::RioFake()); },
    [] { return rio::CountRioFake() == rio::RioFakeCounts{}; });

}  // namespace
}  // namespace ioring
