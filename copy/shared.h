// Shared: what all rings of one copy share.
//
// Threads: any. What it refers to lives longer.
#ifndef IORING_COPY_SHARED_H_
#define IORING_COPY_SHARED_H_

#include <sys/stat.h>

#include <atomic>
#include <string_view>

#include "absl/synchronization/mutex.h"
#include "copy/batch.h"
#include "copy/handovers.h"
#include "copy/link_table.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/trail.h"
#include "copy/visit.h"

namespace ioring::copy {

class Shared {
 public:
  // `top`: the destination's top directory, open.
  Shared(const Options& copy_options, Report& copy_report, const std::atomic<bool>& copy_stop,
         int top_directory, const struct stat& info_of_top)
      : options(copy_options),
        report(copy_report),
        stop(copy_stop),
        top(top_directory),
        top_info(info_of_top) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  bool IsStopped() const { return stop.load(std::memory_order_relaxed); }
  // A problem.
  void Tell(std::string_view path, std::string_view reason);
  // What a batch did with an entry of the directory: counts it, and tells what is wrong.
  void Tally(const Trail& directory, const BatchEntry& entry);
  // The same of a directory that is finished.
  void TallyFinished(const Visit& visit);

  const Options& options;
  Report& report;
  const std::atomic<bool>& stop;
  const int top;
  const struct stat top_info;
  LinkTable links;
  Handovers handovers;

 private:
  absl::Mutex problems_mutex_;  // of the report's problems, and of calls of on_problem
};

}  // namespace ioring::copy

#endif  // IORING_COPY_SHARED_H_
