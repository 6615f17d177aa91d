// FileTable: the files that a ring has open, and how many operations are in flight on each.
#ifndef IORING_RING_CORE_POSIX_FILE_TABLE_H_
#define IORING_RING_CORE_POSIX_FILE_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_core/table/file_slots.h"

namespace ioring::posix {

struct FileSlot {
  int descriptor = -1;
  uint16_t generation = 0;
  uint32_t operations = 0;  // in flight

  bool is_open() const { return descriptor >= 0; }
  void Close();
};

class FileTable : public FileSlots<FileSlot> {
 public:
  using FileSlots::FileSlots;

  // Ring::OpenFile.
  absl::StatusOr<FileId> Open(const std::string& path, const FileOptions& options);

  // O(files).
  bool Has(int descriptor) const {
    return std::any_of(begin(), end(),
                       [&](const File& file) { return file.descriptor == descriptor; });
  }
};

using ioring::StaleId;

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_TABLE_H_
