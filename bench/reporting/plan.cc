#include "bench/reporting/plan.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ioring {
namespace {

constexpr int kQuickRounds = 3;
constexpr int kCentralRounds = 20;
constexpr int kMatrixRounds = 2;
// A measurement of thousands of connections takes ten seconds.
constexpr int kManyConnectionsRounds = 1;
constexpr uint32_t kManyConnections = 5000;

// What may be on its way at once: client and server each have about as much in memory, and the
// kernel twice that.
constexpr uint64_t kBytesInFlightMax = uint64_t{512} << 20;

std::vector<PlannedShape> Quick() {
  std::vector<PlannedShape> plan;
  for (const Shape& shape : {Shape{1, 64, 1}, Shape{50, 64, 1}, Shape{50, 16 << 10, 1},
                             Shape{50, 64, 16}, Shape{1000, 64, 1}}) {
    plan.push_back({shape, kQuickRounds});
  }
  return plan;
}

// What the library is to be fastest at.
std::vector<PlannedShape> Central() {
  std::vector<PlannedShape> plan;
  for (const Shape& shape :
       {Shape{50, 64, 1}, Shape{50, 1 << 10, 1}, Shape{50, 4 << 10, 1}, Shape{50, 16 << 10, 1},
        Shape{1000, 64, 1}, Shape{1000, 1 << 10, 1}, Shape{1, 64, 1}}) {
    plan.push_back({shape, kCentralRounds});
  }
  return plan;
}

// Adds what is not in `plan` yet.
std::vector<PlannedShape> WithMatrix(std::vector<PlannedShape> plan) {
  for (const uint32_t depth : {1u, 16u}) {
    for (const uint32_t connections : {1u, 50u, 1000u, 5000u}) {
      for (const uint32_t bytes : {64u, 1u << 10, 16u << 10, 64u << 10}) {
        const Shape shape = {connections, bytes, depth};
        const bool is_there = std::any_of(
            plan.begin(), plan.end(), [&](const PlannedShape& one) { return one.shape == shape; });
        const bool fits = uint64_t{connections} * bytes * depth <= kBytesInFlightMax;
        const int rounds = connections < kManyConnections ? kMatrixRounds : kManyConnectionsRounds;
        if (!is_there && fits) plan.push_back({shape, rounds});
      }
    }
  }
  return plan;
}

}  // namespace

absl::StatusOr<std::vector<PlannedShape>> PlanShapes(std::string_view form) {
  if (form == "quick") return Quick();
  if (form == "full") return WithMatrix(Central());
  if (form == "matrix") return WithMatrix({});
  if (form == "smoke") {
    return std::vector<PlannedShape>{{Shape{1, 64, 1}, 1}, {Shape{8, 1 << 10, 16}, 2}};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--form=", form, " is none of quick, matrix, full and smoke"));
}

absl::StatusOr<std::vector<PlannedShape>> ChooseShapes(std::vector<PlannedShape> plan,
                                                       std::span<const std::string> names) {
  if (names.empty()) return plan;
  std::vector<PlannedShape> chosen;
  for (const std::string& name : names) {
    const absl::StatusOr<Shape> shape = Shape::Parse(name);
    if (!shape.ok()) return shape.status();
    const auto found = std::find_if(plan.begin(), plan.end(), [&](const PlannedShape& planned) {
      return planned.shape == *shape;
    });
    if (found == plan.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--shapes: ", name, " is not among the loads of this --form"));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

bool IsMeasured(std::string_view name, const Shape& shape) {
  if (absl::EndsWith(name, "_spin")) return shape.connections == 1;
  if (absl::EndsWith(name, "_batch")) return shape.connections >= 1000;
  return true;
}

}  // namespace ioring
