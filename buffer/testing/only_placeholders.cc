// Mirrored buffers by placeholders alone, whatever else the system could do.
#include <array>
#include <span>

#include "buffer/mapper_windows.h"

namespace ioring::mapper {

std::span<const MirrorMethod> MirrorMethods() {
  static constexpr std::array kMethods = {MirrorMethod::kPlaceholders};
  return kMethods;
}

}  // namespace ioring::mapper
