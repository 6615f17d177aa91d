#include "copy/link_table.h"

#include <utility>

#include "absl/log/check.h"

namespace ioring::copy {

void LinkTable::Leave(const Key& key, Copy* copy) {
  const auto found = files_.find(key);
  CHECK(found != files_.end()) << "no turn";
  File& file = found->second;
  if (copy != nullptr) file.copy = std::move(*copy);
  --file.missing;
  if (!file.waiting.empty()) {
    // The turn goes over. A file that got further names meanwhile may have more than it had.
    if (file.missing == 0) file.missing = file.waiting.size();
    ready_.Add(file.waiting.front());
    file.waiting.erase(file.waiting.begin());
    return;
  }
  file.is_busy = false;
  if (file.missing == 0) files_.erase(found);
}

}  // namespace ioring::copy
