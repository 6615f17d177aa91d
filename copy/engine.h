// Engine: copies files and trees on one ring.
//
//   absl::StatusOr<CreatedRing> created = CreateRing(copy::RingOptionsOf(options));
//   copy::Engine engine(*created->ring, options);
//   absl::Status status = engine.Run({"source"}, "destination");
//   if (engine.report().counters.problems != 0) ...
//
// Requirements: the ring was made with RingOptionsOf, nothing else uses it, and it lives longer.
// Effects: sources go into `destination` where that is a directory; else one source gets that name.
// A source that ends with "/." goes into it with its content alone. What is there already is
// replaced, file by file, each in one step; directories are merged. Permissions, times, owners
// (where this process may set them), extended attributes, symbolic and hard links, special files
// and holes are kept.
// Errors: of one entry: a problem in the report, and the others go on. Run fails, before it writes
// anything, where the options or the paths as a whole make no sense.
// Threads: Run on the ring's. The counters, and Stop, from any thread; Stop in a signal handler
// too. Memory: copy/README.md.
#ifndef IORING_COPY_ENGINE_H_
#define IORING_COPY_ENGINE_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "copy/options.h"
#include "copy/report.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring::copy {

RingOptions RingOptionsOf(const Options& options);

class Engine {
 public:
  Engine(Ring& ring, const Options& options) : ring_(ring), options_(options) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Once.
  absl::Status Run(const std::vector<std::string>& sources, const std::string& destination);
  // Run ends soon: entries in the middle of their copy are dropped, and nothing of them stays.
  void Stop() { stop_.store(true, std::memory_order_relaxed); }

  // Its counters at any time, the rest after Run.
  const Report& report() const { return report_; }

 private:
  Ring& ring_;
  const Options options_;
  std::atomic<bool> stop_ = false;
  Report report_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_ENGINE_H_
