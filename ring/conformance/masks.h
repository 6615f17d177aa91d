// The masks under which a backend's tests run: each is a backend of its own, in what it can do.
//
//   INSTANTIATE_TEST_SUITE_P(Epoll, RingFuzz, testing::ValuesIn(UnderMasks(Epoll(),
//   EmulatedMasks())),
//                            FuzzName);
#ifndef IORING_RING_CONFORMANCE_MASKS_H_
#define IORING_RING_CONFORMANCE_MASKS_H_

#include <functional>
#include <string>
#include <vector>

#include "ring/capability.h"
#include "ring/options.h"

namespace ioring {

struct BackendMask {
  // Letters and digits.
  std::string name;
  CapabilitySet disabled;
  // Further options, applied to every ring; may be empty.
  std::function<void(RingOptions&)> adjust = {};
};

// The masks of a backend that emulates all capabilities, so that there is one: besides it, what
// else changes the way.
std::vector<BackendMask> EmulatedMasks();

// Returns `backend`, a ConformanceBackend or a FuzzBackend, under each of the masks.
template <typename Backend>
std::vector<Backend> UnderMasks(const Backend& backend, const std::vector<BackendMask>& masks) {
  std::vector<Backend> backends;
  for (const BackendMask& mask : masks) {
    Backend& masked = backends.emplace_back(backend);
    masked.name = mask.name;
    masked.disabled = mask.disabled;
    masked.adjust = mask.adjust;
  }
  return backends;
}

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_MASKS_H_
