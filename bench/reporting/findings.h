// What is known of promises that a run did not keep.
#ifndef IORING_BENCH_REPORTING_FINDINGS_H_
#define IORING_BENCH_REPORTING_FINDINGS_H_

#include <span>
#include <vector>

#include "bench/reporting/report.h"

namespace ioring {

// What profiles said and what was tried, for each kind of target of which one was not reached. It
// was found on one machine, which the texts name; figures of another may have other causes.
std::vector<Finding> FindingsAbout(std::span<const Target> targets);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_FINDINGS_H_
