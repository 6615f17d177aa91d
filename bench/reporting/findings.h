// Where to read of promises that a run did not keep.
#ifndef IORING_BENCH_REPORTING_FINDINGS_H_
#define IORING_BENCH_REPORTING_FINDINGS_H_

#include <span>
#include <vector>

#include "bench/reporting/report.h"

namespace ioring {

// For each topic of targets of which one was not reached: the section of docs/benchmarks.md that
// says what profiles found and what was tried. It tells of one machine, which that page names;
// figures of another may have other causes.
std::vector<Finding> FindingsAbout(std::span<const Target> targets);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_FINDINGS_H_
