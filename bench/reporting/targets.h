// Whether the library keeps what it promises of its speed (target_table.h).
#ifndef IORING_BENCH_REPORTING_TARGETS_H_
#define IORING_BENCH_REPORTING_TARGETS_H_

#include <span>
#include <vector>

#include "bench/reporting/report.h"

namespace ioring {

// Each promise about a shape and servers that were measured. Figures are medians of the ratios
// within a round.
std::vector<Target> EvaluateTargets(std::span<const ShapeResult> results);

// Each promise about a component that was measured: what the programs per_message, virtual_call,
// idle_connections and slab_pool_benchmark wrote.
std::vector<Target> EvaluateComponentTargets(std::span<const Component> components);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_TARGETS_H_
