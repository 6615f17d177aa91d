#include "copy/engine.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/file_times.h"
#include "copy/options.h"
#include "copy/places.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/shared.h"
#include "copy/system.h"
#include "copy/task.h"
#include "copy/trail.h"
#include "copy/tree_copier.h"
#include "copy/visit.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring::copy {
namespace {

RingOptions RingOptionsOf(const Options& options) {
  RingOptions ring;
  ring.max_files = kFilesNeeded;
  ring.max_connections = 1;
  ring.max_listeners = 1;
  ring.max_buffers = 16;
  ring.max_operations = 2 * (options.depth + options.direct_depth) + 4096;
  return ring;
}

OwnedDescriptor OpenDirectory(const std::string& path) {
  return OwnedDescriptor(system::OpenDirectory(path.c_str()));
}

absl::StatusOr<FileId> OpenInRing(Ring& ring, const std::string& path) {
  OwnedDescriptor opened = OpenDirectory(path);
  if (!opened.is_open()) return absl::ErrnoToStatus(-opened.get(), "it cannot be opened");
  absl::StatusOr<FileId> file = ring.RegisterFile(opened.get());
  if (file.ok()) opened.Release();  // it is the ring's
  return file;
}

// Brings the names in the directory to the disk.
int SyncNames(const OwnedDescriptor& directory) {
  const int synced = system::Sync(directory.get());
  return synced == -EBADF ? -EACCES : synced;  // it could not be opened to be listed
}

// Of the directory that the source is an entry of, for messages.
std::string PathOf(const Place& place) {
  const bool is_working_directory = place.source.directory == "." && !place.source.name.empty();
  return is_working_directory ? std::string() : place.source.directory;
}

// Whether a source becomes an entry of the destination's directory that is none itself.
bool HasFilesAtTop(const Places& places) {
  return std::any_of(places.places.begin(), places.places.end(), [](const Place& place) {
    struct stat info;
    return !place.target_name.empty() && !place.source.name.empty() &&
           system::StatPath(place.path.c_str(), FollowLink::kNo, &info) == 0 &&
           !S_ISDIR(info.st_mode);
  });
}

}  // namespace

struct Engine::Remainder {
  const Place* place;
  const Trail* above;            // the directory that the source is an entry of
  BatchEntry entry;              // of a place that has a name
  std::unique_ptr<Visit> visit;  // of a directory that was begun
};

struct Engine::Worker {
  Worker(std::unique_ptr<Ring> own_ring, Shared& shared)
      : ring(std::move(own_ring)), scheduler(*ring), copier(scheduler, shared) {}

  std::unique_ptr<Ring> ring;
  Scheduler scheduler;
  TreeCopier copier;
};

absl::StatusOr<std::unique_ptr<Engine::Worker>> Engine::MakeWorker(Shared& shared) {
  absl::StatusOr<std::unique_ptr<Ring>> ring = make_ring_(RingOptionsOf(options_));
  if (!ring.ok()) return ring.status();
  return std::make_unique<Worker>(*std::move(ring), shared);
}

// All that is left, one after the other: each has enough in it, or is over soon.
Task<bool> Engine::CopyRemainders(Worker& worker, Shared& shared,
                                  std::vector<Remainder>& remainders, FileId top) {
  Ring& ring = *worker.ring;
  for (Remainder& remainder : remainders) {
    const Place& place = *remainder.place;
    if (remainder.visit != nullptr) {
      co_await worker.copier.CopyRest(*remainder.visit);
      NoteCopy(shared, place);
      continue;
    }
    if (IsTaken(shared, place)) continue;
    const absl::StatusOr<FileId> from = OpenInRing(ring, place.source.directory);
    if (!from.ok()) {
      shared.Tell(place.path, from.status().message());
      continue;
    }
    TreeCopier::Directory directory{.from = *from, .to = top, .trail = remainder.above};
    if (place.source.name.empty()) {
      co_await worker.copier.CopyContent(directory);
    } else {
      co_await worker.copier.CopyEntry(directory, std::move(remainder.entry));
      NoteCopy(shared, place);
    }
    CHECK_OK(ring.CloseFile(*from));
  }
  shared.handovers.Close();
  co_return true;
}

// Whether the destination takes the place's name for that of a place before it, which has been
// copied; that is told.
bool Engine::IsTaken(Shared& shared, const Place& place) const {
  struct stat info;
  if (copies_.empty() || place.target_name.empty() ||
      system::StatEntry(shared.top, place.target_name.c_str(), &info) != 0) {
    return false;
  }
  // A file that is there from before may be a further name of what was not copied again.
  const bool is_further_name = !S_ISDIR(info.st_mode) && info.st_nlink > 1;
  if (is_further_name || !copies_.contains({info.st_dev, info.st_ino})) return false;
  shared.Tell(place.path, kNameIsTaken);
  return true;
}

void Engine::NoteCopy(const Shared& shared, const Place& place) {
  struct stat info;
  if (has_several_places_ && !place.target_name.empty() &&
      system::StatEntry(shared.top, place.target_name.c_str(), &info) == 0) {
    copies_.emplace(info.st_dev, info.st_ino);
  }
}

// One for each worker but the first, as far as the system gives them: the others go.
void Engine::StartThreads(std::vector<std::unique_ptr<Worker>>& workers,
                          std::vector<std::thread>& threads) {
  for (size_t i = 1; i < workers.size(); ++i) {
    try {
      threads.emplace_back([&worker = *workers[i]] {
        Group group(worker.scheduler.ready());
        group.Spawn(worker.copier.Serve());
        worker.scheduler.Run(group);
      });
    } catch (const std::system_error&) {
      workers.resize(i);
    }
  }
}

absl::Status Engine::CopyByRings(Shared& shared, std::vector<Remainder>& remainders) {
  std::vector<std::unique_ptr<Worker>> workers;
  const bool has_directories =
      std::any_of(remainders.begin(), remainders.end(), [](const Remainder& remainder) {
        return remainder.entry.outcome == Outcome::kDirectory ||
               remainder.place->source.name.empty();
      });
  const uint32_t wanted = has_directories ? RingsWithDescriptors(options_) : 1;
  while (workers.size() < wanted) {
    absl::StatusOr<std::unique_ptr<Worker>> worker = MakeWorker(shared);
    if (!worker.ok() && workers.empty()) return worker.status();
    if (!worker.ok()) break;  // the others do
    workers.push_back(*std::move(worker));
  }
  Worker& first = *workers.front();
  OwnedDescriptor duplicate(system::Duplicate(shared.top));
  if (!duplicate.is_open()) return absl::ErrnoToStatus(-duplicate.get(), "the destination");
  const absl::StatusOr<FileId> top = first.ring->RegisterFile(duplicate.get());
  if (!top.ok()) return top.status();
  duplicate.Release();  // it is the ring's
  std::vector<std::thread> threads;
  StartThreads(workers, threads);
  {
    Group group(first.scheduler.ready());
    group.Spawn(CopyRemainders(first, shared, remainders, *top));
    if (!threads.empty()) group.Spawn(first.copier.Serve());
    first.scheduler.Run(group);
  }
  // Before any of the rings goes: one may still be woken by another's thread.
  for (std::thread& thread : threads) thread.join();
  return first.ring->CloseFile(*top);
}

// Copies the place at once if that is soon done, and says whether it was.
bool Engine::CopyAtOnce(Shared& shared, const Place& place, Remainder& remainder) {
  const OwnedDescriptor from = OpenDirectory(place.source.directory);
  if (!from.is_open()) {
    shared.Tell(place.path, ErrnoText(-from.get()));
    return true;
  }
  if (place.source.name.empty()) return false;
  if (IsTaken(shared, place)) return true;
  Batch batch{.from = from.get(), .to = shared.top, .options = &options_, .stop = &stop_};
  batch.entries.push_back(std::move(remainder.entry));
  CopyBatch(batch);
  remainder.entry = std::move(batch.entries.front());
  if (remainder.entry.outcome == Outcome::kLargeFile ||
      remainder.entry.outcome == Outcome::kNamedNode) {
    return false;
  }
  if (remainder.entry.outcome == Outcome::kDirectory) {
    remainder.visit = Begin(shared, remainder, from.get());
    if (remainder.visit == nullptr) NoteCopy(shared, place);
    return remainder.visit == nullptr;
  }
  shared.Tally(*remainder.above, remainder.entry);
  NoteCopy(shared, place);
  return true;
}

// Copies as much of a directory as is soon done. Null where that is all.
std::unique_ptr<Visit> Engine::Begin(Shared& shared, const Remainder& remainder, int from) {
  auto visit = std::make_unique<Visit>();
  visit->parent_from = from;
  visit->parent_to = shared.top;
  visit->trail = {remainder.above, remainder.place->source.name, remainder.place->target_name};
  visit->top = shared.top_info;
  visit->batch.options = &options_;
  visit->batch.stop = &stop_;
  VisitDirectory(*visit);
  if (!visit->reason.empty()) shared.Tell(visit->trail.SourcePath(), visit->reason);
  if (visit->is_finished) shared.TallyFinished(*visit);
  return visit->is_entered && !visit->is_finished ? std::move(visit) : nullptr;
}

absl::Status Engine::Run(const std::vector<std::string>& sources, const std::string& destination) {
  if (absl::Status status = CheckOptions(options_); !status.ok()) return status;
  const absl::StatusOr<Places> places = FindPlaces(sources, destination);
  if (!places.ok()) return places.status();
  const OwnedDescriptor top = OpenDirectory(places->directory);
  struct stat info;
  const int looked = top.is_open() ? system::Stat(top.get(), &info) : top.get();
  if (looked != 0) return absl::ErrnoToStatus(-looked, places->directory);

  if (options_.resume && !options_.dry_run) options_.target_times = FindTimeGrid(top.get());
  const auto begin = std::chrono::steady_clock::now();
  // Nothing else lists it.
  if (options_.resume && !options_.dry_run && HasFilesAtTop(*places)) RemoveLeftovers(top.get());
  absl::Status status;
  {
    Shared shared(options_, report_, stop_, top.get(), info);
    has_several_places_ = places->places.size() > 1;
    std::deque<Trail> trails;
    std::vector<Remainder> remainders;
    for (const Place& place : places->places) {
      trails.push_back({.source = PathOf(place)});
      Remainder remainder{&place, &trails.back(), {}, nullptr};
      remainder.entry.name = place.source.name;
      remainder.entry.target_name = place.target_name;
      remainder.entry.is_asked_for = true;
      if (!place.source.name.empty()) Count(report_.counters.found);
      // In their order: what comes after one that takes longer waits for it.
      if (!remainders.empty() || !CopyAtOnce(shared, place, remainder)) {
        remainders.push_back(std::move(remainder));
      }
    }
    if (!remainders.empty()) status = CopyByRings(shared, remainders);
    // The names of the sources are in it.
    const int synced = options_.sync && !options_.dry_run ? SyncNames(top) : 0;
    if (synced != 0) {
      shared.Tell(places->directory, absl::StrCat("the names in it cannot be brought to the disk: ",
                                                  ErrnoText(-synced)));
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  report_.counters.is_listed = true;
  report_.seconds = took.count();
  report_.is_stopped = stop_.load(std::memory_order_relaxed);
  return status;
}

}  // namespace ioring::copy
