#include "ring_core/table/descriptor_index.h"

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ioring {

absl::Status AlreadyInRing(int64_t descriptor, std::string_view owner) {
  return absl::AlreadyExistsError(absl::StrCat(
      "descriptor ", descriptor, " is this ring's already (", owner,
      "): use that one, or unregister or close it first; a second connection to the same socket "
      "takes a copy of the descriptor (dup)"));
}

}  // namespace ioring
