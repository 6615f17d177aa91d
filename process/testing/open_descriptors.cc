#include "process/testing/open_descriptors.h"

#include <fcntl.h>

#include <vector>

namespace ioring {

// Not by a folder such as /dev/fd: BSD's has the first three only.
std::vector<int> OpenDescriptors() {
  constexpr int kHighest = 1024;
  std::vector<int> open;
  for (int descriptor = 0; descriptor < kHighest; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) >= 0) open.push_back(descriptor);
  }
  return open;
}

}  // namespace ioring
