#include "copy/engine.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/chunks.h"
#include "copy/options.h"
#include "copy/places.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/task.h"
#include "copy/tree_copier.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring::copy {
namespace {

// All sources, one after the other: each has enough in it, or is over soon.
Task<bool> CopyPlaces(Ring& ring, TreeCopier& copier, const Places& places, FileId top,
                      const Options& options, Report& report) {
  for (const Place& place : places.places) {
    const absl::StatusOr<FileId> from = ring.OpenFile(place.source.directory, {.directory = true});
    if (!from.ok()) {
      Count(report.counters.problems);
      report.problems.push_back({place.path, std::string(from.status().message())});
      if (options.on_problem) options.on_problem(place.path, from.status().message());
      continue;
    }
    TreeCopier::Directory directory{.from = *from, .to = top};
    directory.path = place.source.directory;
    if (directory.path == "." && !place.source.name.empty()) directory.path.clear();
    if (place.source.name.empty()) {
      co_await copier.CopyContent(directory);
    } else {
      co_await copier.CopyEntry(directory, place.source.name, place.target_name);
    }
    CHECK_OK(ring.CloseFile(*from));
  }
  report.counters.is_listed = true;
  co_return true;
}

}  // namespace

RingOptions RingOptionsOf(const Options& options) {
  RingOptions ring;
  ring.max_files = kFilesNeeded;
  ring.max_connections = 1;
  ring.max_listeners = 1;
  ring.max_buffers = 16;
  ring.max_operations = 2 * options.depth + 4096;
  return ring;
}

absl::Status Engine::Run(const std::vector<std::string>& sources, const std::string& destination) {
  if (absl::Status status = CheckOptions(options_); !status.ok()) return status;
  const absl::StatusOr<Places> places = FindPlaces(sources, destination);
  if (!places.ok()) return places.status();
  Scheduler scheduler(ring_);
  const absl::StatusOr<std::unique_ptr<Chunks>> chunks = Chunks::Create(scheduler, options_);
  if (!chunks.ok()) return chunks.status();
  const absl::StatusOr<FileId> top = ring_.OpenFile(places->directory, {.directory = true});
  if (!top.ok()) return top.status();

  const auto begin = std::chrono::steady_clock::now();
  {
    TreeCopier copier(scheduler, options_, **chunks, report_, stop_, *top);
    Group group(scheduler.ready());
    group.Spawn(CopyPlaces(ring_, copier, *places, *top, options_, report_));
    scheduler.Run(group);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  report_.seconds = took.count();
  report_.is_stopped = stop_.load(std::memory_order_relaxed);
  return ring_.CloseFile(*top);
}

}  // namespace ioring::copy
