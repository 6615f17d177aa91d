// What others take of the processors while something is measured. Linux.
#ifndef IORING_BENCH_FOREIGN_LOAD_H_
#define IORING_BENCH_FOREIGN_LOAD_H_

#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace ioring {

// From its construction on, the time that some processors were busy with anything but this process
// and the children that it has waited for. Other programs count, the kernel's own threads, and
// what the hypervisor took (proc_stat(5): "steal").
//
// This process and its children stay on these processors: what they take of any other is
// subtracted as well.
//
// The kernel counts busy time in ticks of its clock (1 to 10 ms): over less than some tenths of a
// second the figure says little.
class ForeignLoad {
 public:
  // A processor that is named twice, as server and load may share one, counts once.
  explicit ForeignLoad(std::vector<int> processors);

  // The part of these processors' time since construction that went to others: 0 to 1. Children
  // that still run count as others. 0 where the system does not tell.
  double Share() const;

 private:
  const std::vector<int> processors_;
  const absl::Time start_;
  const absl::Duration busy_;
  const absl::Duration own_;
};

// The time that `processors` were busy since the system started, by the contents of /proc/stat.
absl::Duration BusyTime(std::string_view proc_stat, const std::vector<int>& processors);

}  // namespace ioring

#endif  // IORING_BENCH_FOREIGN_LOAD_H_
