// The granularity of Apple's processors, on a machine whose pages are smaller.
#include <cstddef>

#include "buffer/mapper.h"

namespace ioring::mapper {

size_t GranularityBytes() { return size_t{16} << 10; }

}  // namespace ioring::mapper
