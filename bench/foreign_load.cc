#include "bench/foreign_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace ioring {
namespace {

std::string ProcStat() {
  std::stringstream contents;
  contents << std::ifstream("/proc/stat").rdbuf();
  return contents.str();
}

absl::Duration OwnTime() {
  absl::Duration time;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage = {};
    getrusage(who, &usage);
    time += absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
  }
  return time;
}

std::vector<int> WithoutRepetitions(std::vector<int> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

}  // namespace

absl::Duration BusyTime(std::string_view proc_stat, const std::vector<int>& processors) {
  // "cpu0 USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL GUEST GUEST_NICE", in ticks; USER has the
  // guests' time in it.
  constexpr size_t kIdle = 4;
  constexpr size_t kIoWait = 5;
  constexpr size_t kSteal = 8;
  int64_t ticks = 0;
  for (const std::string_view line : absl::StrSplit(proc_stat, '\n')) {
    const std::vector<std::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    const bool counts = std::any_of(processors.begin(), processors.end(), [&](int processor) {
      return !words.empty() && words[0] == absl::StrCat("cpu", processor);
    });
    if (!counts) continue;
    for (size_t i = 1; i < words.size() && i <= kSteal; ++i) {
      int64_t value = 0;
      if (i != kIdle && i != kIoWait && absl::SimpleAtoi(words[i], &value)) ticks += value;
    }
  }
  return absl::Seconds(1) * ticks / sysconf(_SC_CLK_TCK);
}

ForeignLoad::ForeignLoad(std::vector<int> processors)
    : processors_(WithoutRepetitions(std::move(processors))),
      start_(absl::Now()),
      busy_(BusyTime(ProcStat(), processors_)),
      own_(OwnTime()) {}

double ForeignLoad::Share() const {
  const absl::Duration others = BusyTime(ProcStat(), processors_) - busy_ - (OwnTime() - own_);
  const absl::Duration all =
      (absl::Now() - start_) * static_cast<int64_t>(std::max<size_t>(processors_.size(), 1));
  return std::clamp(absl::FDivDuration(others, all), 0.0, 1.0);
}

}  // namespace ioring
