// FileTable: the files that a ring has open, and how many operations are in flight on each.
#ifndef IORING_RING_CORE_POSIX_FILE_TABLE_H_
#define IORING_RING_CORE_POSIX_FILE_TABLE_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring/ring_limits.h"
#include "ring_core/table/file_slots.h"

namespace ioring::posix {

struct FileSlot {
  // What MayWait (file_work.h) says, once somebody asked.
  enum class Waits : uint8_t { kUnknown, kNever, kPerhaps };

  int descriptor = -1;
  uint16_t generation = 0;
  Waits waits = Waits::kUnknown;
  bool is_closing = false;  // a thread closes it now: the number may be another file's already
  uint32_t operations = 0;  // in flight

  bool is_open() const { return descriptor >= 0; }
  void Close();
};

class FileTable : public FileSlots<FileSlot> {
 public:
  using FileSlots::FileSlots;

  // RingBackend::AddFile. AlreadyExists for a descriptor that is in the table.
  absl::StatusOr<FileId> Add(const FileSource& source);
  // RingBackend::FindFile.
  absl::StatusOr<NativeHandle> FindHandle(FileId id, FileUse use);
  // Takes over a descriptor that an operation opened. Nothing where no slot is free. No system
  // call.
  std::optional<FileId> Adopt(int descriptor);

  // O(files).
  bool Has(int descriptor) const {
    return std::any_of(begin(), end(), [&](const File& file) {
      return file.descriptor == descriptor && !file.is_closing;
    });
  }
};

using ioring::StaleId;

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_TABLE_H_
