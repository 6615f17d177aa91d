// Which loads a report is about, and how often each is measured.
#ifndef IORING_BENCH_REPORTING_PLAN_H_
#define IORING_BENCH_REPORTING_PLAN_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/comparison.h"

namespace ioring {

struct PlannedShape {
  Shape shape;
  int rounds = 0;
};

// `form` is "quick" (some minutes), "matrix" (1, 50, 1,000 and 5,000 connections; 64 B to 64 KiB;
// depth 1 and 16), "full" (the same, but twenty rounds of what the library is to be fastest at), or
// "smoke", whose figures mean nothing. InvalidArgument for another.
absl::StatusOr<std::vector<PlannedShape>> PlanShapes(std::string_view form);

// Those of `plan` that `names` name, as Shape::Parse reads them; all where there are no names.
// InvalidArgument for what is no load, or not in the plan.
absl::StatusOr<std::vector<PlannedShape>> ChooseShapes(std::vector<PlannedShape> plan,
                                                       std::span<const std::string> names);

// Whether the server called `name` is measured under this load. Variants that only make sense for
// some are named for it: "..._spin" for one connection, "..._batch" for a thousand or more.
bool IsMeasured(std::string_view name, const Shape& shape);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_PLAN_H_
