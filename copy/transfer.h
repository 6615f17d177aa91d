// The content of a file on its way. A part of file_copier.h, for its implementation alone.
#ifndef IORING_COPY_TRANSFER_H_
#define IORING_COPY_TRANSFER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "copy/chunks.h"
#include "copy/file_copier.h"
#include "copy/options.h"
#include "copy/system.h"
#include "ring/id.h"

namespace ioring::copy {

inline uint64_t RoundUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// The content of one file on its way, or the comparison of two.
struct FileCopier::Transfer {
  FileId from;
  FileId to;
  uint64_t size = 0;
  Method method = Method::kFixed;
  Chunks* chunks = nullptr;
  uint64_t piece = 0;
  bool is_comparing = false;
  // Direct I/O: offsets and lengths are multiples of `alignment`.
  bool is_direct = false;
  uint64_t alignment = 1;
  bool is_padded = false;  // the copy may be longer than `end`

  // Pieces that were not taken yet.
  std::vector<DataRange> ranges;
  size_t range = 0;
  uint64_t next = 0;

  uint64_t end = 0;  // where the source ended, if that is before `size`
  bool differs = false;
  bool is_stopped = false;
  std::string failure;

  bool IsOver() const { return is_stopped || differs || !failure.empty(); }
  void SetRanges(std::vector<DataRange> to_copy) {
    ranges = std::move(to_copy);
    range = 0;
    next = 0;
  }
  uint64_t Pieces() const {
    uint64_t count = 0;
    for (const DataRange& one : ranges) count += (one.finish - one.begin) / piece + 1;
    return count;
  }
  // The next piece; false where there is none.
  bool Take(uint64_t* offset, uint64_t* length) {
    for (; range < ranges.size(); ++range) {
      *offset = std::max(next, ranges[range].begin);
      const uint64_t finish = std::min(ranges[range].finish, end);
      if (*offset >= finish) continue;
      *length = std::min(piece - *offset % piece, finish - *offset);
      next = *offset + *length;
      return true;
    }
    return false;
  }
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TRANSFER_H_
