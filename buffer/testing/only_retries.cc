// Mirrored buffers by retries alone, whatever else the system could do.
#include <array>
#include <span>

#include "buffer/mapper_windows.h"

namespace ioring::mapper {

std::span<const MirrorMethod> MirrorMethods() {
  static constexpr std::array kMethods = {MirrorMethod::kRetries};
  return kMethods;
}

}  // namespace ioring::mapper
