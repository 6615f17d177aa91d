#include "ring/statistics.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace ioring {

std::string Statistics::ToString() const {
  return absl::StrCat(submissions, " operations submitted, ", completions, " completions, ",
                      kernel_entries, " kernel entries with ", kernel_submissions,
                      " entries handed over, ", overflows, " overflows, ", submission_queue_full,
                      " times full, ", emulations, " emulations, ", buffer_exhaustions,
                      " times out of buffers, ", fallbacks, " fall-backs, ", wakes, " wakes, ",
                      bytes_received, " bytes received, ", bytes_sent, " bytes sent, ", bytes_read,
                      " bytes read, ", bytes_written, " bytes written");
}

Statistics StatisticsCounters::Snapshot() const {
  return Statistics{
      .submissions = submissions.value(),
      .completions = completions.value(),
      .kernel_entries = kernel_entries.value(),
      .kernel_submissions = kernel_submissions.value(),
      .overflows = overflows.value(),
      .submission_queue_full = submission_queue_full.value(),
      .emulations = emulations.value(),
      .buffer_exhaustions = buffer_exhaustions.value(),
      .fallbacks = fallbacks.value(),
      .wakes = wakes.value(),
      .bytes_received = bytes_received.value(),
      .bytes_sent = bytes_sent.value(),
      .bytes_read = bytes_read.value(),
      .bytes_written = bytes_written.value(),
  };
}

}  // namespace ioring
