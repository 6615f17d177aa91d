// The newer way first: nothing can come between there.
#include <array>
#include <span>

#include "buffer/mapper_windows.h"

namespace ioring::mapper {

std::span<const MirrorMethod> MirrorMethods() {
  static constexpr std::array kMethods = {MirrorMethod::kPlaceholders, MirrorMethod::kRetries};
  return kMethods;
}

}  // namespace ioring::mapper
