#include "copy/shared.h"

#include <string>
#include <string_view>

#include "copy/batch.h"
#include "copy/report.h"
#include "copy/trail.h"
#include "copy/visit.h"
#include "process/mutex_lock.h"

namespace ioring::copy {

void Shared::Tell(std::string_view path, std::string_view reason) {
  process::MutexLock lock(problems_mutex_);
  Count(report.counters.problems);
  if (report.problems.size() < kProblemsKept) {
    report.problems.push_back({std::string(path), std::string(reason)});
  }
  if (options.on_problem) options.on_problem(path, reason);
}

void Shared::Tally(const Trail& directory, const BatchEntry& entry) {
  if (!entry.reason.empty()) Tell(Join(directory.SourcePath(), entry.name), entry.reason);
  Counters& counters = report.counters;
  Count(counters.found_bytes, entry.bytes);
  Count(counters.done_bytes, entry.bytes);
  switch (entry.outcome) {
    case Outcome::kNotTried:
    case Outcome::kFailed:
    case Outcome::kDirectory:
    case Outcome::kLargeFile:
    case Outcome::kNamedNode:
      break;
    case Outcome::kFile:
      Count(counters.files);
      Count(counters.small_files);
      Count(counters.copied_bytes, entry.bytes);
      break;
    case Outcome::kSymbolicLink:
      Count(counters.symbolic_links);
      break;
    case Outcome::kSpecialFile:
      Count(counters.special_files);
      break;
    case Outcome::kSkipped:
      Count(counters.skipped);
      break;
  }
}

void Shared::TallyFinished(const Visit& visit) {
  Count(report.counters.found, visit.found);
  for (const BatchEntry& entry : visit.batch.entries) Tally(visit.trail, entry);
  if (visit.reason.empty()) Count(report.counters.directories);
}

}  // namespace ioring::copy
