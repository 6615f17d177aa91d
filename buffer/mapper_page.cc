// The granularity of systems that map memory page by page.
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "buffer/mapper.h"

namespace ioring::mapper {
namespace {

// A program for Intel's processors that an Apple processor runs is told of pages of 4 KiB,
// which the machine under it does not have: all of macOS takes 16 KiB.
#if defined(__APPLE__)
constexpr size_t kGranularityBytesMin = size_t{16} << 10;
#else
constexpr size_t kGranularityBytesMin = 1;
#endif

}  // namespace

size_t GranularityBytes() {
  static const size_t granularity_bytes =
      std::max(static_cast<size_t>(sysconf(_SC_PAGESIZE)), kGranularityBytesMin);
  return granularity_bytes;
}

}  // namespace ioring::mapper
