// Every backend of this platform.
#include "ring_native/benchmarked_rings.h"

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

namespace ioring {

std::vector<BenchmarkedRing> BenchmarkedRings() {
  std::vector<BenchmarkedRing> rings;
  for (const std::string_view name : absl::StrSplit(AvailableBackends(), ", ")) {
    const absl::StatusOr<BackendKind> kind = ParseBackendKind(name);
    CHECK_OK(kind.status());
    const auto create =
        [kind = *kind](const RingOptions& options) -> absl::StatusOr<std::unique_ptr<Ring>> {
      absl::StatusOr<CreatedRing> created = CreateRing(options, kind);
      if (!created.ok()) return created.status();
      return std::move(created->ring);
    };
    const absl::StatusOr<std::unique_ptr<Ring>> first = create({});
    if (first.ok()) {
      rings.push_back({std::string(name), create});
    } else {
      std::fprintf(stderr, "not measured: %s\n", std::string(first.status().message()).c_str());
    }
  }
  return rings;
}

}  // namespace ioring
