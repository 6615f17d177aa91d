// Registered I/O beside completion ports, where it has to be over a fake.
#include "ring_native/benchmarked_rings.h"

#include <cstdio>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/testing/rio_fake.h"

namespace ioring {

std::vector<BenchmarkedRing> BenchmarkedRings() {
  std::fprintf(stderr,
               "Registered I/O is a fake's here, over overlapped calls: it is there to be "
               "compiled and run, and not faster than what it stands on. Under Wine no figure is "
               "Windows' own.\n");
  const auto iocp = [](const RingOptions& options) -> absl::StatusOr<std::unique_ptr<Ring>> {
    return RioRing::CreateIocp(options);
  };
  const auto rio = [](const RingOptions& options) -> absl::StatusOr<std::unique_ptr<Ring>> {
    return RioRing::CreateRio(options, rio::RioFake());
  };
  return {{"iocp", iocp}, {"rio_over_fake", rio}};
}

}  // namespace ioring
