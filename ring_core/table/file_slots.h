// FileSlots: the files that a ring has open, and the number of operations in flight on each. A
// backend's table of files derives from it and opens them.
#ifndef IORING_RING_CORE_TABLE_FILE_SLOTS_H_
#define IORING_RING_CORE_TABLE_FILE_SLOTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "ring/id.h"
#include "ring/ring_limits.h"
#include "ring_core/table/slot_table.h"

namespace ioring {

// `Slot` is a slot of a SlotTable. Besides, it has:
//  - `operations`, a uint32_t: the number in flight;
//  - `Close()`, after which `is_open()` is false.
//
// Ring's thread only. Its destructor closes the open files.
template <typename Slot>
class FileSlots : public SlotTable<Slot, FileId> {
 public:
  using File = Slot;

  explicit FileSlots(uint32_t files_max)
      : SlotTable<Slot, FileId>(files_max, "files", "max_files") {}
  ~FileSlots() {
    for (File& file : *this) {
      if (file.is_open()) file.Close();
    }
  }

  // Ring::CloseFile.
  absl::Status Close(FileId id) {
    File* file = this->Find(id);
    if (file == nullptr) return StaleId("file");
    if (file->operations != 0) {
      return absl::FailedPreconditionError(
          "operations are in flight on the file: take their completions first");
    }
    file->Close();
    this->Retire(*file);
    return absl::OkStatus();
  }
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_FILE_SLOTS_H_
