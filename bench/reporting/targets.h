// What the library promises of its speed against servers that were measured in the same run.
#ifndef IORING_BENCH_REPORTING_TARGETS_H_
#define IORING_BENCH_REPORTING_TARGETS_H_

#include <span>
#include <vector>

#include "bench/reporting/report.h"

namespace ioring {

// Each promise about a shape and servers that were measured. Figures are medians of the ratios
// within a round.
//
// Servers are known by their names: managed, managed_epoll, managed_spin (--spin=50us) and
// managed_batch (--batch_delay) are the library's; those that begin with uring_ are hand-written on
// liburing, of which the best counts; epoll_level is hand-written on epoll; asio, libuv, libevent
// and go are peers.
std::vector<Target> EvaluateTargets(std::span<const ShapeResult> results);

// Each promise about a component that was measured: what the programs per_message, virtual_call,
// idle_connections and slab_pool_benchmark wrote.
std::vector<Target> EvaluateComponentTargets(std::span<const Component> components);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_TARGETS_H_
