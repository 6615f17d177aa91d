// Engine: copies files and trees.
//
//   copy::Engine engine(make_ring, options);
//   absl::Status status = engine.Run({"source"}, "destination");
//   if (engine.report().counters.problems != 0) ...
//
// Rings are made when there is something for them: small files, and small directories of these,
// need none. Several (Options::rings) share the directories of a tree.
//
// Effects: sources go into `destination` where that is a directory; else one source gets that name.
// A source that ends with "/." goes into a directory with its content alone, and one that ends with
// "/" is the directory that a link leads to. What is there already is replaced, file by file, each
// in one step; directories are merged. A destination that is a device, a FIFO or a socket is
// refused. Permissions, times, owners and groups (where this process may set them), extended
// attributes, symbolic and hard links, special files and holes are kept.
// Errors: of one entry: a problem in the report, and the others go on. Run fails, before it writes
// anything, where the options or the paths as a whole make no sense; and where there is no ring.
// Threads: Run on one. The counters, and Stop, from any thread; Stop in a signal handler too.
// Memory: copy/README.md.
#ifndef IORING_COPY_ENGINE_H_
#define IORING_COPY_ENGINE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "copy/options.h"
#include "copy/places.h"
#include "copy/report.h"
#include "copy/shared.h"
#include "copy/task.h"
#include "copy/visit.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring::copy {

// Makes a ring with these options. Called on Run's thread.
using MakeRing = std::function<absl::StatusOr<std::unique_ptr<Ring>>(const RingOptions& options)>;

class Engine {
 public:
  Engine(MakeRing make_ring, const Options& options)
      : make_ring_(std::move(make_ring)), options_(options) {}
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Once.
  absl::Status Run(const std::vector<std::string>& sources, const std::string& destination);
  // Run ends soon: entries in the middle of their copy are dropped, and nothing of them stays.
  void Stop() { stop_.store(true, std::memory_order_relaxed); }

  // Its counters at any time, the rest after Run.
  const Report& report() const { return report_; }

 private:
  struct Worker;
  struct Remainder;  // a place that was not copied at once

  bool CopyAtOnce(Shared& shared, const Place& place, Remainder& remainder);
  std::unique_ptr<Visit> Begin(Shared& shared, const Remainder& remainder, int from);
  absl::Status CopyByRings(Shared& shared, std::vector<Remainder>& remainders);
  Task<bool> CopyRemainders(Worker& worker, Shared& shared, std::vector<Remainder>& remainders,
                            FileId top);
  absl::StatusOr<std::unique_ptr<Worker>> MakeWorker(Shared& shared);
  void StartThreads(std::vector<std::unique_ptr<Worker>>& workers,
                    std::vector<std::thread>& threads);
  bool IsTaken(Shared& shared, const Place& place) const;
  void NoteCopy(const Shared& shared, const Place& place);

  const MakeRing make_ring_;
  Options options_;  // as they are when Run begins to copy
  std::atomic<bool> stop_ = false;
  Report report_;
  bool has_several_places_ = false;
  // The copies of the places so far, where there are several. Run's thread.
  std::set<std::pair<uint64_t, uint64_t>> copies_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_ENGINE_H_
