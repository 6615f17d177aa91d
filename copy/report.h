// Report: what a copy did, so far or in the end.
#ifndef IORING_COPY_REPORT_H_
#define IORING_COPY_REPORT_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "copy/options.h"

namespace ioring::copy {

// Written by the rings' threads, read by any.
struct Counters {
  std::atomic<uint64_t> found{0};        // entries that were listed
  std::atomic<uint64_t> found_bytes{0};  // of files that were looked at
  std::atomic<uint64_t> done_bytes{0};   // of these, copied or left alone
  std::atomic<uint64_t> copied_bytes{0};
  std::atomic<uint64_t> files{0};            // copied; those below too
  std::atomic<uint64_t> small_files{0};      // of `files`: in batches
  std::atomic<uint64_t> reflinked_files{0};  // of `files`
  std::atomic<uint64_t> kernel_files{0};     // of `files`: by copy_file_range
  std::atomic<uint64_t> buffered_files{0};   // of `files`: through chunks of memory
  std::atomic<uint64_t> direct_files{0};     // of `buffered_files`: past the page cache
  std::atomic<uint64_t> directories{0};
  std::atomic<uint64_t> hard_links{0};
  std::atomic<uint64_t> symbolic_links{0};
  std::atomic<uint64_t> special_files{0};
  std::atomic<uint64_t> skipped{0};  // complete already
  std::atomic<uint64_t> problems{0};
  std::atomic<bool> is_listed{false};  // nothing more is going to be found
};

inline void Count(std::atomic<uint64_t>& counter, uint64_t by = 1) {
  counter.fetch_add(by, std::memory_order_relaxed);
}

// A path and what is wrong there.
struct Problem {
  std::string path;
  std::string reason;
};
// Of more, only the number is kept.
inline constexpr size_t kProblemsKept = 100;

struct Report {
  Counters counters;
  std::vector<Problem> problems;
  double seconds = 0;
  bool is_stopped = false;
};

// One object, with a line for each member, as the programs here write it.
std::string ReportJson(const Options& options, std::string_view backend, const Report& report);
// A line or two for people.
std::string ReportText(const Options& options, const Report& report);
// "1.5 GiB in 300 files, 600.0 MiB/s, 0:12 left", for the line of progress. `seconds`: so far.
std::string ProgressText(const Counters& counters, double seconds);

}  // namespace ioring::copy

#endif  // IORING_COPY_REPORT_H_
