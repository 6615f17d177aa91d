// Times of files, which a file system may keep with less than a nanosecond.
#ifndef IORING_COPY_FILE_TIMES_H_
#define IORING_COPY_FILE_TIMES_H_

#include <cstdint>
#include <ctime>

namespace ioring::copy {

// What a file system makes of the times that it is given: it cuts them off to a multiple of
// `nanos`.
struct TimeGrid {
  uint64_t device = 0;
  int64_t nanos = 1;
};

// The grid of the file system that the directory is on, found with a file without a name. Blocks;
// any thread.
TimeGrid FindTimeGrid(int directory);

// Whether `copy`, a time of a file on `device`, is what is kept of `source`.
bool IsSameTime(const timespec& source, const timespec& copy, uint64_t device,
                const TimeGrid& grid);

}  // namespace ioring::copy

#endif  // IORING_COPY_FILE_TIMES_H_
