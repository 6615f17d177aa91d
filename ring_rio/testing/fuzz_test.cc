// The fuzzer over Registered I/O, of which there is a fake.
#include "ring/fuzzing/fuzz.h"

#include <vector>

#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/conformance/masks.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/fuzz_sockets.h"
#include "ring_rio/testing/rio_fake.h"

namespace ioring {
namespace {

FuzzBackend Rio() {
  return {
      .create =
          [](const RingOptions& options) { return RioRing::CreateRio(options, rio::RioFake()); },
      .sockets = rio::SocketsForFuzzing(),
  };
}

std::vector<BackendMask> Masks() {
  std::vector<BackendMask> masks = EmulatedMasks();
  // Memory is registered, and sockets do without.
  masks.push_back({"FixedSocketIoMasked", {Capability::kFixedSocketIo}});
  return masks;
}

INSTANTIATE_TEST_SUITE_P(Rio, RingFuzz, testing::ValuesIn(UnderMasks(Rio(), Masks())), FuzzName);

}  // namespace
}  // namespace ioring
